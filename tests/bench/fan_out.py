"""Many readers of one file at once, in a process of their own: who got it whole, how fast, the first byte after what.

As a program it reads one JSON object and prints a list with an entry for each reader.
"""

import asyncio
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import aiohttp

from tests.bench.processes import ROOT


@dataclass(frozen=True)
class Read:
    """What became of one reader. right: the digest was the expected one; None where none was expected."""

    status: int
    first_byte_s: float
    whole_s: float
    right: bool | None
    error: str | None = None


def fan_out(
    url: str,
    *,
    readers: int,
    sha256: str | None = None,
    headers: Sequence[tuple[str, str]] = (),
    timeout_s: float = 600,
) -> list[Read]:
    """Reads `url` so many times at once, following redirects."""
    given = {"url": url, "readers": readers, "sha256": sha256, "headers": list(headers), "timeout_s": timeout_s}
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.fan_out"],
        input=json.dumps(given),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=timeout_s + 60,
    )
    return [Read(**read) for read in json.loads(done.stdout)]


async def _read(session: aiohttp.ClientSession, url: str, sha256: str | None) -> Read:
    digest = hashlib.sha256()
    begun = time.perf_counter()
    status = 0
    first_s = 0.0
    error = None
    try:
        async with session.get(url) as response:
            status = response.status
            async for chunk in response.content.iter_any():
                first_s = first_s or time.perf_counter() - begun
                if sha256 is not None:
                    digest.update(chunk)
    except (aiohttp.ClientError, TimeoutError) as broken:
        error = f"{type(broken).__name__}: {broken}"
    right = None if sha256 is None else error is None and digest.hexdigest() == sha256
    return Read(status, first_s, time.perf_counter() - begun, right, error)


async def _main(given: dict[str, Any]) -> None:
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=given["timeout_s"]),
        headers=[tuple(header) for header in given["headers"]],
        auto_decompress=False,
    ) as session:
        reads = await asyncio.gather(*(_read(session, given["url"], given["sha256"]) for _ in range(given["readers"])))
    json.dump([asdict(read) for read in reads], sys.stdout)


if __name__ == "__main__":
    asyncio.run(_main(json.load(sys.stdin)))
