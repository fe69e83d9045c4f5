"""The examples of docs/api.md, and the calls of the README, run as they stand there."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

from hfproxy.sandbox.config import SandboxConfig
from hfproxy.sandbox.server import running_sandbox
from tests.support.gateway import gateway_for

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "api.md"
_EXAMPLE = re.compile(r"^\$ (curl .+)\n(\{.+\})$", re.MULTILINE)


def _holds(told: Any, promised: Any) -> bool:
    """Whether an answer says what the page promises; it may say more, and `…` stands for any text."""
    if isinstance(promised, dict):
        return isinstance(told, dict) and all(_holds(told.get(name), value) for name, value in promised.items())
    if isinstance(promised, list):
        return isinstance(told, list) and len(told) == len(promised) and all(map(_holds, told, promised))
    return bool(told == promised or (promised == "…" and isinstance(told, str)))


async def _answered(command: str, gateway: str) -> bytes:
    process = await asyncio.create_subprocess_shell(
        command.replace("http://127.0.0.1:8080", gateway),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    answer, _ = await process.communicate()
    assert process.returncode == 0, command
    return answer


async def test_every_example_gives_what_the_page_says(tmp_path: Path) -> None:
    examples = _EXAMPLE.findall(PAGE.read_text(encoding="utf-8"))
    assert len(examples) == PAGE.read_text(encoding="utf-8").count("\n$ ")
    async with (
        running_sandbox(SandboxConfig()) as hub,
        gateway_for(hub.url, tmp_path, UPSTREAM__TOKEN="hf_sandbox_alice") as gateway,
    ):
        for command, promised in examples:
            answer = (await _answered(command, gateway.url)).replace(hub.url.encode(), b"https://huggingface.co")
            assert _holds(json.loads(answer), json.loads(promised)), f"{command}\n{answer.decode()}"


async def test_the_calls_of_the_readme_work_one_after_the_other(tmp_path: Path) -> None:
    commands = re.findall(r"^\$ (curl .+)$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(commands) == 4
    async with (
        running_sandbox(SandboxConfig()) as hub,
        gateway_for(hub.url, tmp_path, UPSTREAM__TOKEN="hf_sandbox_alice") as gateway,
    ):
        told = [json.loads(await _answered(command, gateway.url)) for command in commands]
    assert [each.get("id") for each in told[1:]] == ["alice/demo"] * 3, told
    assert told[0]["name"] == "alice"
