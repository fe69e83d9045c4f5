"""git and git-lfs as a person has them, each test with a home of its own."""

import asyncio
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.clients import Finished

needs_git_lfs = pytest.mark.skipif(shutil.which("git-lfs") is None, reason="git-lfs is not installed")
TIMEOUT_S = 120


@dataclass(frozen=True)
class Git:
    """Runs git in `home`, with nothing of the machine's own settings."""

    home: Path

    async def __call__(self, *arguments: str | Path, folder: Path | None = None, **env: str) -> Finished:
        """Run git in a folder."""
        process = await asyncio.create_subprocess_exec(
            "git",
            *map(str, arguments),
            cwd=folder or self.home,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.home),
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_TERMINAL_PROMPT": "0",
                "GIT_AUTHOR_NAME": "alice",
                "GIT_AUTHOR_EMAIL": "alice@example.org",
                "GIT_COMMITTER_NAME": "alice",
                "GIT_COMMITTER_EMAIL": "alice@example.org",
                **env,
            },
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(TIMEOUT_S):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return Finished(process.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace"))

    async def ok(self, *arguments: str | Path, folder: Path | None = None, **env: str) -> Finished:
        """Run git; it must succeed."""
        finished = await self(*arguments, folder=folder, **env)
        assert finished.code == 0, f"git {' '.join(map(str, arguments))}: {finished}"
        return finished


async def git_at(home: Path) -> Git:
    """A git whose home is `home`, with git-lfs set up."""
    home.mkdir(parents=True, exist_ok=True)
    git = Git(home)
    await git.ok("lfs", "install", "--skip-repo")
    await git.ok("config", "--global", "init.defaultBranch", "main")
    return git


def with_token(url: str, token: str | None) -> str:
    """A remote's address with a token in it, as a person would write it."""
    parts = urlsplit(url)
    return parts._replace(netloc=f"anyone:{token}@{parts.netloc}").geturl() if token else url
