"""How a Space stands. Nothing is run in a sandbox: stages follow from what is there, what was asked, and the time.

    no file to start        NO_APP_FILE
    paused                  PAUSED, until somebody restarts it
    else, since its last commit or restart
        up to BUILD_S       BUILDING
        up to START_S       APP_STARTING
        from then on        RUNNING

Source of the stages: `huggingface_hub` `_space_api.py`.
"""

from datetime import datetime, timedelta
from typing import Any

from .repository import Repository

BUILD_S, START_S = 1.0, 2.0
HARDWARE = {
    "cpu-basic": ("CPU basic", "2 vCPU", "16 GB"),
    "cpu-upgrade": ("CPU upgrade", "8 vCPU", "32 GB"),
    "zero-a10g": ("ZeroGPU", "4 vCPU", "30 GB"),
    "t4-small": ("Nvidia T4 - small", "4 vCPU", "15 GB"),
    "t4-medium": ("Nvidia T4 - medium", "8 vCPU", "30 GB"),
    "l4x1": ("1x Nvidia L4", "8 vCPU", "30 GB"),
    "a10g-small": ("Nvidia A10G - small", "4 vCPU", "15 GB"),
    "a10g-large": ("Nvidia A10G - large", "12 vCPU", "46 GB"),
    "a100-large": ("Nvidia A100 - large", "12 vCPU", "142 GB"),
}
_STARTED_BY = {"docker": "Dockerfile", "static": "index.html"}


class Running:
    """One Space at one moment."""

    def __init__(self, repo: Repository, now: datetime) -> None:
        self._repo = repo
        self._space = repo.record.space
        self._now = now

    @property
    def started_at(self) -> datetime | None:
        """Its last commit or restart; None for one that is not to run."""
        head = self._repo.head
        if head is None or self._space.get("paused") or not self._has_app(head):
            return None
        committed_at = self._repo.history.change(head).date
        restarted = self._space.get("restartedAt")
        return max(committed_at, datetime.fromisoformat(restarted)) if restarted else committed_at

    @property
    def stage(self) -> str:
        if self._space.get("paused"):
            return "PAUSED"
        if self.started_at is None:
            return "NO_APP_FILE"
        age = self._now - self.started_at
        if age < timedelta(seconds=BUILD_S):
            return "BUILDING"
        return "APP_STARTING" if age < timedelta(seconds=START_S) else "RUNNING"

    @property
    def changes_in_s(self) -> float | None:
        """When the next stage begins by itself, if one does."""
        if self.started_at is None or self.stage == "RUNNING":
            return None
        age_s = (self._now - self.started_at).total_seconds()
        return (BUILD_S if self.stage == "BUILDING" else START_S) - age_s

    def told(self) -> dict[str, Any]:
        """The runtime, as the Hub tells it."""
        hardware = self._space.get("hardware") or "cpu-basic"
        runs = self.stage == "RUNNING"
        domain = f"{self._repo.repo_id.replace('/', '-').lower()}.hf.space"
        return {
            "stage": self.stage,
            "hardware": {"current": hardware if runs else None, "requested": hardware},
            "storage": self._space.get("storageTier"),
            "gcTimeout": self._space.get("sleepTimeSeconds"),
            "replicas": {"current": 1 if runs else 0, "requested": 1},
            "devMode": bool(self._space.get("devMode")),
            "domains": [{"domain": domain, "stage": "READY"}],
            **({"volumes": self._space["volumes"]} if self._space.get("volumes") else {}),
        }

    def _has_app(self, head: str) -> bool:
        name = _STARTED_BY.get(str(self._space.get("sdk")), "app.py")
        return self._repo.history.entry(head, name) is not None
