"""The `hfproxy` command in a process of its own, with an environment that holds nothing of the machine's settings."""

import os
import subprocess
import sys
from pathlib import Path

from hfproxy.settings import OTHER_NAMES


def environment(**variables: str) -> dict[str, str]:
    """The machine's environment without any setting of hfproxy, of the Hub's tools or of a company, and `variables`."""
    ours = ("HF_", "HFPROXY_", *OTHER_NAMES)
    clean = {name: value for name, value in os.environ.items() if not name.upper().startswith(ours)}
    return {**clean, "COLUMNS": "120", **variables}


def hfproxy(*arguments: str, cwd: Path, timeout_s: float = 120, **variables: str) -> subprocess.CompletedProcess[str]:
    """The finished command."""
    return subprocess.run(
        [sys.executable, "-m", "hfproxy", *arguments],
        cwd=cwd,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
