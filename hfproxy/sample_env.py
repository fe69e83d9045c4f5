"""SAMPLE_ENV, made from the settings so that it cannot fall behind them."""

import textwrap

from hfproxy.settings import Settings
from hfproxy.settings_loading import Knob, knob_text, knobs

_HEAD = """\
# hfproxy's settings. Copy this file to .env and change what you need; the values here are the defaults.
# Made by `hfproxy config sample`. Any name may end in _FILE to read the value from a file (Docker, Kubernetes secrets).

# The Hub token the gateway acts with (HF_TOKEN works too). For the real Hub this is the one line you need.
HF_ACCESS_TOKEN=

# The Hub to speak to: https://huggingface.co, another Hub, or `sandbox` for the built-in one.
# HF_ENDPOINT=https://huggingface.co
"""
_TOLD_IN_HEAD = {"HFPROXY_UPSTREAM__TOKEN", "HFPROXY_UPSTREAM__ENDPOINT"}


def sample_env() -> str:
    """The text of SAMPLE_ENV."""
    defaults = Settings()
    lines = [_HEAD]
    group = ""
    for knob in knobs():
        if knob.variable in _TOLD_IN_HEAD:
            continue
        if knob.group != group:
            group = knob.group
            lines.append(f"\n# --- {group} ---\n")
        lines.append(_entry(knob, getattr(getattr(defaults, knob.group), knob.name)))
    return "".join(lines)


def _entry(knob: Knob, default: object) -> str:
    description = textwrap.fill(knob.field.description or "", 118, initial_indent="# ", subsequent_indent="# ")
    return f"{description}\n# {knob.variable}={knob_text(default)}\n"
