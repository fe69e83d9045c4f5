"""What is written: console or JSON, ours or a library's, always without secrets."""

import asyncio
import json
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from hfproxy.logs import set_up_logging
from hfproxy.repeated_lines import RepeatedLine
from hfproxy.settings import LoggingSettings
from hfproxy.starting import CannotStart
from tests.support.logging_state import logging_as_it_was
from tests.support.waiting import PATIENCE_S

TOKEN = "hf_abcdefghijklmnopqrstuvwxyz012345"
CONFIGURED = "a pass phrase"


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    with logging_as_it_was():
        yield


def _fail(secret: str) -> None:
    raise ValueError(f"cannot use {secret}")


@pytest.mark.parametrize("form", ["console", "json"])
def test_no_secret_is_written_by_anybody_nor_in_a_traceback(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(LoggingSettings.model_validate({"format": form}), secrets=[CONFIGURED])
    ours, theirs = structlog.get_logger("ours"), logging.getLogger("theirs")
    ours.info("thing.happened", url=f"https://cdn/x?Signature={TOKEN}", headers={"Authorization": "x y"}, raw=b"x")
    theirs.warning("sent %s and %s", TOKEN, CONFIGURED)
    for log in (ours, theirs):
        try:
            _fail(f"{TOKEN} or {CONFIGURED}")
        except ValueError:
            log.exception("thing.failed")
    ours.info("with.a.stack", stack_info=True, token=CONFIGURED)
    theirs.warning("with a stack", stack_info=True)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"do not use {TOKEN}", stacklevel=1)
    written = capsys.readouterr().err
    for told in ("thing.happened", "thing.failed", "ValueError", "sent", "with.a.stack", "do not use"):
        assert told in written
    for secret in (TOKEN, CONFIGURED, "x y"):
        assert secret not in written


def test_json_lines_begin_with_when_how_bad_and_what(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(LoggingSettings(format="json"))
    structlog.get_logger("ours").info("thing.happened", count=3, where=Path("/x"), members={"a"})
    [line] = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert list(told)[:3] == ["timestamp", "level", "event"]
    assert (told["event"], told["count"], told["members"], told["logger"]) == ("thing.happened", 3, ["a"], "ours")


def test_nobodys_words_forge_a_line_or_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(LoggingSettings(format="console"))
    structlog.get_logger("ours").info("thing.happened", detail="x\n2026 forged\x1b[2J\r")
    logging.getLogger("theirs").warning("x\n2026 forged\x1b[2J\r")
    written = capsys.readouterr().err
    assert len(written.splitlines()) == 2
    assert written.count("2026 forged") == 2
    assert "\x1b" not in written


def test_the_log_file_holds_json_and_is_rotated_by_size(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "hfproxy.log"
    settings = LoggingSettings.model_validate(
        {"format": "console", "file": file, "file_max_size": 2000, "file_backups": 2}
    )
    set_up_logging(settings)
    log = structlog.get_logger("ours")
    for number in range(50):
        log.info("thing.happened", number=number, token=TOKEN)
    files = sorted(file.parent.iterdir())
    assert [path.name for path in files] == ["hfproxy.log", "hfproxy.log.1", "hfproxy.log.2"]
    numbers = [json.loads(line)["number"] for path in reversed(files) for line in path.read_text().splitlines()]
    assert numbers == list(range(50 - len(numbers), 50))
    assert all(path.stat().st_size <= 2000 for path in files)


def test_a_log_file_that_others_move_away_or_empty_goes_on_under_its_name(tmp_path: Path) -> None:
    file = tmp_path / "hfproxy.log"
    set_up_logging(LoggingSettings(file=file))
    log = structlog.get_logger("ours")
    log.info("before.it")
    file.rename(tmp_path / "hfproxy.log.1")
    log.info("after.it")
    assert "before.it" in (tmp_path / "hfproxy.log.1").read_text()
    assert json.loads(file.read_text())["event"] == "after.it"
    os.truncate(file, 0)
    log.info("emptied.it")
    assert json.loads(file.read_text())["event"] == "emptied.it"
    file.unlink()
    log.info("deleted.it")
    assert json.loads(file.read_text())["event"] == "deleted.it"


def test_a_log_file_without_room_is_told_of_in_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    set_up_logging(LoggingSettings(format="json", file=Path("/dev/full")))
    log = structlog.get_logger("ours")
    for _ in range(5):
        log.info("thing.happened")
    told = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [line["event"] for line in told].count("thing.happened") == 5
    [problem] = [line for line in told if line["event"] != "thing.happened"]
    assert (problem["event"], problem["reason"]) == ("log.unwritten", "No space left on device")


def test_repeated_lines_that_find_no_room_are_told_of_too(capfd: pytest.CaptureFixture[str]) -> None:
    set_up_logging(LoggingSettings(format="json", file=Path("/dev/full")))
    RepeatedLine("ours", "thing.happened", {"id": ""}, ("id",)).write("x")
    told = [json.loads(line)["event"] for line in capfd.readouterr().err.splitlines()]
    assert told == ["thing.happened", "log.unwritten"]


def test_a_log_file_that_cannot_be_rotated_is_written_on(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "hfproxy.log"
    set_up_logging(LoggingSettings.model_validate({"file": file, "file_max_size": 500, "file_backups": 1}))
    (tmp_path / "hfproxy.log.1" / "in the way").mkdir(parents=True)
    for number in range(20):
        structlog.get_logger("ours").info("thing.happened", number=number)
    assert [json.loads(line)["number"] for line in file.read_text().splitlines() if "thing" in line] == [*range(20)]
    assert capfd.readouterr().err.count("log.unwritten") == 1


def test_a_log_file_that_cannot_be_written_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotStart, match="log file"):
        set_up_logging(LoggingSettings(file=tmp_path / "file" / "x.log"))


def test_a_repeated_line_is_written_as_any_other(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    fields = {"path": "/100%/%s/ü", "token": f"it is {TOKEN}", "count": 3, "none": None, "took_s": 0, "id": ""}
    for form in ("json", "console"):
        for level in ("info", "warning"):
            file = tmp_path / f"{form}-{level}.log"
            set_up_logging(
                LoggingSettings.model_validate({"format": form, "file": file, "level": level}), secrets=["ab-12"]
            )
            line = RepeatedLine("ours", "thing.happened", fields, ("took_s", "id"))
            for took_s, given in ((0.25, "x"), (1e-05, 'q"\\%'), (3, "ab-12"), (0.1, TOKEN)):
                line.write(took_s, given)
                structlog.get_logger("ours").info("thing.happened", **{**fields, "took_s": took_s, "id": given})
            written = [capsys.readouterr().err.splitlines(), file.read_text().splitlines()]
            assert len(written[0]) == len(written[1]) == (8 if level == "info" else 0)
            for lines in written[form == "console" :]:
                told = [
                    list({**json.loads(one), "timestamp": len(json.loads(one)["timestamp"])}.items()) for one in lines
                ]
                assert told[::2] == told[1::2]
                assert TOKEN not in str(lines)
                assert "ab-12" not in str(lines)
            if form == "console":
                assert [one.partition("Z")[2] for one in written[0][::2]] == [
                    one.partition("Z")[2] for one in written[0][1::2]
                ]


def test_repeated_lines_are_written_together_soon(capsys: pytest.CaptureFixture[str]) -> None:
    line = RepeatedLine("ours", "thing.happened", {"id": ""}, ("id",))
    seen: list[int] = []

    def written() -> int:
        seen.append(capsys.readouterr().err.count("\n"))
        return sum(seen)

    async def write() -> None:
        line.write("a")
        line.write("b")
        assert written() == 0
        async with asyncio.timeout(PATIENCE_S):
            while True:
                await asyncio.sleep(0.001)
                if written():
                    break
        assert 2 in seen
        for _ in range(1000):
            line.write("c")
        assert written() >= 800, "they are not gathered without end"

    set_up_logging(LoggingSettings(format="json"))
    asyncio.run(write())
    RepeatedLine("ours", "thing.happened", {"id": ""}, ("id",)).write("no loop, no waiting")
    assert written() == 1003


def test_lines_that_wait_are_written_at_the_end_of_the_process() -> None:
    program = """
import asyncio
from hfproxy.logs import set_up_logging
from hfproxy.repeated_lines import RepeatedLine
from hfproxy.settings import LoggingSettings

async def write():
    RepeatedLine("ours", "last.words", {"id": ""}, ("id",)).write("x")

set_up_logging(LoggingSettings(format="json"))
asyncio.run(write())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stderr)["event"] == "last.words"


def test_a_repeated_line_stays_before_what_is_said_after_it(capsys: pytest.CaptureFixture[str]) -> None:
    async def both() -> None:
        RepeatedLine("ours", "first", {"id": ""}, ("id",)).write("x")
        structlog.get_logger("ours").info("second")

    set_up_logging(LoggingSettings(format="json"))
    asyncio.run(both())
    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == ["first", "second"]
