"""The examples of docs/api.md, run as they stand there."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

from hfproxy.sandbox.config import SandboxConfig
from hfproxy.sandbox.server import running_sandbox
from tests.support.gateway import gateway_for

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
_EXAMPLE = re.compile(r"^\$ (curl .+)\n(\{.+\})$", re.MULTILINE)


def _holds(told: Any, promised: Any) -> bool:
    """Whether an answer says what the page promises; it may say more, and `…` stands for any text."""
    if isinstance(promised, dict):
        return isinstance(told, dict) and all(_holds(told.get(name), value) for name, value in promised.items())
    if isinstance(promised, list):
        return isinstance(told, list) and len(told) == len(promised) and all(map(_holds, told, promised))
    return bool(told == promised or (promised == "…" and isinstance(told, str)))


async def test_every_example_gives_what_the_page_says(tmp_path: Path) -> None:
    examples = _EXAMPLE.findall(PAGE.read_text(encoding="utf-8"))
    assert len(examples) == PAGE.read_text(encoding="utf-8").count("\n$ ")
    async with (
        running_sandbox(SandboxConfig()) as hub,
        gateway_for(hub.url, tmp_path, UPSTREAM__TOKEN="hf_sandbox_alice") as gateway,
    ):
        for command, promised in examples:
            process = await asyncio.create_subprocess_shell(
                command.replace("http://127.0.0.1:8080", gateway.url), stdout=asyncio.subprocess.PIPE
            )
            answer, _ = await process.communicate()
            assert process.returncode == 0, command
            answer = answer.replace(hub.url.encode(), b"https://huggingface.co")
            assert _holds(json.loads(answer), json.loads(promised)), f"{command}\n{answer.decode()}"
