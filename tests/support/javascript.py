"""`@huggingface/hub` in node, installed once from npm under `.cache/clients/js` of the checkout."""

import fcntl
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.clients import ROOT

PINNED = {"@huggingface/hub": "2.17.5"}
needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")


def javascript_client() -> Path:
    """A folder whose scripts find the pinned packages."""
    folder = ROOT / ".cache" / "clients" / "js"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = json.dumps({"private": True, "type": "module", "dependencies": PINNED})
    with (folder.parent / "js.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        told = folder / "package.json"
        if not (folder / "node_modules").is_dir() or told.read_text() != wanted:
            told.write_text(wanted)
            subprocess.run(
                ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"],
                cwd=folder,
                check=True,
                capture_output=True,
            )
    return folder
