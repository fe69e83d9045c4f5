"""The parent of the workers lives on, whatever keeps it from starting one."""

import asyncio
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from hfproxy.settings import Settings
from hfproxy.workers import _keep, _Worker
from tests.support.waiting import eventually


async def test_a_worker_that_the_system_lets_nobody_start_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No memory for a process, too many of them: each is an OSError, as is a program that is not there."""
    worker = _Worker(1, Settings(), [], tmp_path)
    worker.process = await asyncio.create_subprocess_exec("false")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "missing"))
    with capture_logs() as told:
        keeping = asyncio.create_task(_keep(worker))
        await eventually(lambda: keeping.done() or [line["event"] for line in told] == ["worker.ended"] * 2)
        assert not keeping.done()
        keeping.cancel()
        await asyncio.wait([keeping])
