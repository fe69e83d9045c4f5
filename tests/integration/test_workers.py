"""`hfproxy serve --workers`: several processes that look like one from outside."""

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from hfproxy.storage.blobs import BlobKey
from tests.support.command import hfproxy
from tests.support.file_hub import file_hub
from tests.support.serving import Serving, serving
from tests.support.waiting import eventually, free_port

MIB = 1024**2
WEIGHTS = os.urandom(6 * MIB + 321)
LONG = os.urandom(6 * MIB + 654)
WORKERS = 2
FILES = "/{file}/resolve/{rest}"
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def test_they_serve_count_and_fetch_as_one_and_a_dead_one_is_replaced(tmp_path: Path) -> None:
    async with file_hub() as hub:
        hub.add("w.bin", WEIGHTS)
        hub.hold_after = 3 * MIB
        hub.gate.clear()
        async with serving(tmp_path, HF_ENDPOINT=hub.url, HFPROXY_SERVER__WORKERS=str(WORKERS)) as gateway:
            await eventually(lambda: "Stop with Ctrl-C" in gateway.printed())
            assert gateway.printed().count("Listening") == 1, "one first screen"
            first = workers_of(gateway)
            assert len(first) == WORKERS

            # New connections, so that both are asked.
            asked = [asyncio.create_task(read(f"{gateway.url}/acme/demo/resolve/main/w.bin")) for _ in range(40)]
            await eventually(lambda: hub.sent_bytes >= 3 * MIB)
            hub.gate.set()
            assert {BlobKey.of(body) for body in await asyncio.gather(*asked)} == {BlobKey.of(WEIGHTS)}
            assert hub.sent_bytes == len(WEIGHTS), "one download"

            # An answer is counted after who asked has its last byte.
            samples = await eventually(
                lambda: measured(gateway), lambda found: (requests_of(FILES, found), in_flight(found)) == (40, 1)
            )
            assert samples["hfproxy_upstream_places", ()] == 200
            assert samples["process_resident_memory_bytes", ()] > 60 * MIB

            # One of them dies while both send: what the other sends goes on, whoever of them fetched it.
            hub.add("long.bin", LONG)
            hub.gate.clear()
            begun: list[str] = []
            asked = [
                asyncio.create_task(read(f"{gateway.url}/acme/demo/resolve/main/long.bin", begun)) for _ in range(40)
            ]
            await eventually(lambda: len(begun) == len(asked))
            os.kill(first[0], signal.SIGKILL)
            hub.gate.set()
            ends = await asyncio.gather(*asked, return_exceptions=True)
            whole = [body for body in ends if isinstance(body, bytes)]
            assert whole
            assert {BlobKey.of(body) for body in whole} == {BlobKey.of(LONG)}
            assert all(isinstance(end, bytes | aiohttp.ClientError) for end in ends)
            assert len(whole) < len(ends), "the dead one served nobody"
            await eventually(lambda: "worker.started" in events(gateway))
            assert set(workers_of(gateway)) > {first[1]}
            bodies = await asyncio.gather(*(read(f"{gateway.url}/acme/demo/resolve/main/w.bin") for _ in range(20)))
            assert {BlobKey.of(body) for body in bodies} == {BlobKey.of(WEIGHTS)}
            ended = next(event for event in gateway.events() if event["event"] == "worker.ended")
            assert ended["exit_code"] == -signal.SIGKILL
            await eventually(lambda: measured(gateway), lambda found: in_flight(found) == 1)

            last = workers_of(gateway)
            assert await gateway.end() == 0
            assert not [pid for pid in last if alive(pid)]
            assert events(gateway)["server.stopped"] == 1


async def test_a_port_is_not_shared_with_another_gateway_and_workers_end_with_their_parent(tmp_path: Path) -> None:
    async with file_hub() as hub:
        hub.add("w.bin", WEIGHTS)
        hub.hold_after = 3 * MIB
        hub.gate.clear()
        async with serving(tmp_path, HF_ENDPOINT=hub.url, HFPROXY_SERVER__WORKERS=str(WORKERS)) as gateway:
            port = gateway.url.rpartition(":")[2]
            second = await asyncio.to_thread(
                hfproxy,
                *("serve", "--workers", "2", "--port", port),
                cwd=tmp_path,
                HF_ENDPOINT=hub.url,
                timeout_s=120,
            )
            assert (second.returncode, "cannot listen" in second.stderr) == (69, True)

            pids = workers_of(gateway)
            asked = asyncio.create_task(read(f"{gateway.url}/acme/demo/resolve/main/w.bin"))
            await eventually(lambda: hub.sent_bytes >= 3 * MIB)
            os.kill(gateway.pid, signal.SIGKILL)
            hub.gate.set()
            assert BlobKey.of(await asked) == BlobKey.of(WEIGHTS)
            await eventually(lambda: not [pid for pid in pids if alive(pid)])


def test_what_keeps_workers_from_starting_ends_the_command(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    ended = hfproxy(
        *("serve", "--workers", "2", "--port", str(free_port()), "--upstream", "sandbox"),
        cwd=tmp_path,
        HFPROXY_STORAGE__ROOT=str(tmp_path / "file" / "kept"),
        timeout_s=120,
    )
    assert ended.returncode == 78
    assert "cannot be written to" in ended.stderr
    assert "Traceback" not in ended.stderr


async def read(url: str, begun: list[str] | None = None) -> bytes:
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        assert answer.status == 200, await answer.text()
        if begun is not None:
            begun.append(url)
        return await answer.read()


async def measured(gateway: Serving) -> Samples:
    text = (await read(f"{gateway.url}/-/metrics")).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def requests_of(route: str, samples: Samples) -> float:
    return sum(
        value
        for (name, labels), value in samples.items()
        if name == "hfproxy_requests_total" and ("route", route) in labels and ("status", "200") in labels
    )


def in_flight(samples: Samples) -> float:
    """The question itself is one."""
    return samples["hfproxy_requests_in_flight", ()]


def events(gateway: Serving) -> Counter[str]:
    return Counter(event["event"] for event in gateway.events())


def workers_of(gateway: Serving) -> list[int]:
    children = Path(f"/proc/{gateway.pid}/task/{gateway.pid}/children").read_text().split()
    return [int(pid) for pid in children]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
