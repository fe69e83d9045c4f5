"""A process whose wall clock jumps when a test says so; its monotonic clock goes on, as when the time is set."""

from pathlib import Path

_SITECUSTOMIZE = """
import pathlib, time
_told, _time = pathlib.Path({told!r}), time.time
time.time = lambda: _time() + float(_told.read_text())
"""


class WallClock:
    """`environment` is for the process; `ahead_s` is how far its clock is ahead of the machine's."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._told = folder / "ahead_s"
        (folder / "sitecustomize.py").write_text(_SITECUSTOMIZE.format(told=str(self._told)))
        self.environment = {"PYTHONPATH": str(folder)}
        self.jump(0)

    def jump(self, ahead_s: float) -> None:
        """Sets it, in one step."""
        new = self._told.with_suffix(".new")
        new.write_text(str(ahead_s))
        new.replace(self._told)
