"""`docs/settings.md`, made from the settings so that it cannot fall behind them."""

from datetime import timedelta
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import ByteSize, SecretStr

from hfproxy.settings import OTHER_NAMES, Settings
from hfproxy.settings_loading import Knob, knob_text, knobs

_HEAD = """\
# Settings

Made by `hfproxy config docs`. `hfproxy config` shows what is set here and now, and where it came from.

A setting is an environment variable or a line in `.env`; of several sources the first wins: the command line (`--host`,
`--port`, `--upstream`), the environment, `.env`, the default. Any name may end in `_FILE`: then the value is what that
file holds (Docker and Kubernetes secrets). An empty value means «not set», and hides no other source. A name that
begins with `HFPROXY_` and means nothing, or a value that cannot be used, ends the start with a line for each;
`hfproxy config check` tells beforehand.

Times are written `500ms`, `30s`, `5m`, `12h`, `7d`; sizes `512KiB`, `10GiB`; lists as JSON, `["a", "b"]`.
"""
_WORDS: Final[dict[Any, str]] = {
    bool: "`true`, `false`",
    int: "number",
    tuple: "list",
    timedelta: "time",
    ByteSize: "size",
    Path: "path",
    SecretStr: "secret",
}


def settings_page() -> str:
    """The text of docs/settings.md."""
    defaults = Settings()
    parts = [_HEAD]
    group = ""
    for knob in knobs():
        if knob.group != group:
            group = knob.group
            parts.append(f"\n## {group}\n\n| variable | value | default | what it does |\n|---|---|---|---|\n")
        default = knob_text(getattr(getattr(defaults, knob.group), knob.name))
        parts.append(f"| {_names(knob)} | {_kind(knob)} | {_code(default)} | {_cell(knob.field.description or '')} |\n")
    return "".join(parts)


def _names(knob: Knob) -> str:
    others = [other for other, variable in OTHER_NAMES.items() if variable == knob.variable]
    return ", ".join(f"`{name}`" for name in [*others, knob.variable])


def _kind(knob: Knob) -> str:
    """What may be written: a word, or the choices there are."""
    annotation = _plain(knob.field.annotation)
    if get_origin(annotation) is Literal:
        return ", ".join(_code(str(choice)) for choice in get_args(annotation))
    return _WORDS.get(get_origin(annotation) or annotation, "text")


def _plain(annotation: Any) -> Any:
    """The type behind `Annotated` and `| None`."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    if get_origin(annotation) in {Union, UnionType}:
        return _plain(next(option for option in get_args(annotation) if option is not NoneType))
    return annotation


def _code(text: str) -> str:
    return f"`{_cell(text)}`" if text else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
