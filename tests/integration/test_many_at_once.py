"""A thousand callers and a slow Hub: all are answered rightly or refused at the door, and nothing is left behind."""

import asyncio
import json
import resource
from pathlib import Path

import aiohttp
import pytest

from tests.support.gateway import gateway_for
from tests.support.held_hub import held_hub
from tests.support.raw_http import connection_to
from tests.support.scripted_hub import Asked, Reply, says, scripted_hub
from tests.support.serving import serving
from tests.support.waiting import eventually

CALLERS = 1000
# All of them are to wait at once; a busy machine takes its time, and nobody is to give up meanwhile.
PATIENT = {
    "UPSTREAM__MAX_CONNECTIONS": str(CALLERS),
    "UPSTREAM__CONNECT_TIMEOUT": "1h",
    "UPSTREAM__ANSWER_TIMEOUT": "1h",
}
GET = b"GET /api/account HTTP/1.1\r\nHost: localhost\r\n\r\n"
BODY = b'{"type": "model", "name": "one", "private": true}'
POST = b"POST /api/repo HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY


def whoever_asked() -> Reply:
    """An account named after the id of the request, so that nobody's answer can be taken for another's."""

    async def reply(asked: Asked, writer: asyncio.StreamWriter) -> None:
        name = asked.headers["x-amzn-trace-id"]
        await says(200, json.dumps({"name": name}).encode())(asked, writer)

    return reply


def open_sockets() -> int:
    links = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            links.append(str(entry.readlink()))
        except FileNotFoundError:
            continue
    return sum(link.startswith("socket:") for link in links)


@pytest.fixture(autouse=True)
def enough_files() -> None:
    """Three ends of each thousand connections are in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 5 * CALLERS:
        if hard < 5 * CALLERS:
            pytest.skip(f"this machine allows {hard} open files")
        resource.setrlimit(resource.RLIMIT_NOFILE, (5 * CALLERS, hard))


async def test_a_thousand_callers_of_a_slow_hub_each_get_their_own_answer_and_leave_nothing(tmp_path: Path) -> None:
    async with gateway_for("http://127.0.0.1:9", tmp_path / "other"):  # what a first gateway leaves in the process
        pass
    tasks, sockets = asyncio.all_tasks(), open_sockets()
    async with (
        held_hub(whoever_asked()) as hub,
        gateway_for(hub.url, tmp_path, **PATIENT) as gateway,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):

        async def ask(number: int) -> bool:
            headers = {"X-Request-Id": f"caller-{number}"}
            async with session.get(f"{gateway.url}/api/account", headers=headers) as response:
                answer = await response.json()
                return response.status == 200 and answer["name"] == f"caller-{number}"

        asking = [asyncio.create_task(ask(number)) for number in range(CALLERS)]
        await hub.arrived(CALLERS)
        hub.release()
        assert all(await asyncio.gather(*asking))
        assert hub.connections <= CALLERS
    await eventually(
        lambda: not [task for task in asyncio.all_tasks() - tasks if not task.done()], what="their tasks' end"
    )
    await eventually(lambda: open_sockets() <= sockets, what="the end of all sockets")


async def test_what_a_thousand_waiting_callers_cost_is_bounded_and_given_back(tmp_path: Path) -> None:
    async with (
        held_hub(says(200, b'{"name": "alice"}')) as hub,
        serving(
            tmp_path, HF_ENDPOINT=hub.url, **{f"HFPROXY_{name}": value for name, value in PATIENT.items()}
        ) as server,
    ):
        files, memory_mib = server.open_files(), server.memory_mib()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            asking = [asyncio.create_task(_status(session, f"{server.url}/api/account")) for _ in range(CALLERS)]
            await hub.arrived(CALLERS)
            # Some 30 KiB for each, both of its connections included, and room for another Python.
            assert server.memory_mib() - memory_mib < 200
            hub.release()
            assert set(await asyncio.gather(*asking)) == {200}
        await hub.hang_up()
        # The database opens more connections, of a few files each, when its looks at what is new meet.
        await eventually(lambda: server.open_files() <= files + 20, what=f"a return to {files} open files")
        assert await server.end() == 0
        assert not [event for event in server.events() if event["level"] in {"warning", "error"}]


async def test_one_caller_too_many_is_told_to_come_back_and_health_is_told_all_the_while(tmp_path: Path) -> None:
    places, callers = 10, 30
    async with (
        held_hub(says(200, b'{"name": "alice"}')) as hub,
        gateway_for(hub.url, tmp_path, SERVER__MAX_REQUESTS_IN_FLIGHT=str(places)) as gateway,
    ):
        url = f"{gateway.url}/api/account"
        within = [asyncio.create_task(_status(gateway.http, url)) for _ in range(places)]
        await hub.arrived(places)
        for _ in range(callers - places):
            async with gateway.http.get(url) as response:
                problem = await response.json(content_type=None)
                assert (response.status, problem["code"]) == (503, "Overloaded")
                assert int(response.headers["Retry-After"]) >= 1
        assert await _status(gateway.http, f"{gateway.url}/-/live") == 200
        assert await _status(gateway.http, f"{gateway.url}/-/metrics") == 200
        hub.release()
        assert set(await asyncio.gather(*within)) == {200}
        assert await _status(gateway.http, url) == 200
        assert len(hub.asked) == places + 1


async def test_one_connection_too_many_is_told_so_and_closed_and_health_is_told_first(tmp_path: Path) -> None:
    live = GET.replace(b"/api/account", b"/-/live")
    async with (
        scripted_hub(says(200, b'{"name": "alice"}')) as hub,
        gateway_for(hub.url, tmp_path, SERVER__MAX_CONNECTIONS="2") as gateway,
        connection_to(gateway.url) as first,
    ):
        async with connection_to(gateway.url) as second:
            for within in (first, second):
                await within.send(GET)
                assert (answer := await within.answer()) is not None
                assert answer.status == 200
            for request, status in ((GET, 503), (live, 200)):
                async with connection_to(gateway.url) as surplus:
                    await surplus.send(request)
                    assert (answer := await surplus.answer()) is not None
                    assert (answer.status, answer.headers["connection"]) == (status, "close")
                    assert status == 200 or json.loads(answer.body)["code"] == "Overloaded"
                    assert status == 200 or int(answer.headers["retry-after"]) >= 1
                    assert await surplus.ended()
            async with connection_to(gateway.url) as silent:
                assert await silent.ended(), "nobody waits long for what it may want"
        await eventually(lambda: _taken(gateway.url), what="a free place")


async def _taken(url: str) -> bool:
    async with connection_to(url) as connection:
        await connection.send(GET)
        answer = await connection.answer()
        return answer is not None and answer.status == 200


async def test_more_callers_than_connections_to_the_hub_wait_for_one(tmp_path: Path) -> None:
    async with (
        held_hub(says(200, b'{"name": "alice"}')) as hub,
        gateway_for(hub.url, tmp_path, UPSTREAM__MAX_CONNECTIONS="5") as gateway,
    ):
        asking = [asyncio.create_task(_status(gateway.http, f"{gateway.url}/api/account")) for _ in range(50)]
        await hub.arrived(5)
        hub.release()
        assert set(await asyncio.gather(*asking)) == {200}
        assert hub.connections == 5


@pytest.mark.parametrize("raw", [GET, POST], ids=["read", "write"])
async def test_callers_who_hang_up_end_what_is_done_for_them_and_leave_nothing(raw: bytes, tmp_path: Path) -> None:
    callers = 50
    async with (
        held_hub(says(200, b'{"name": "alice", "url": "http://hub/alice/one"}')) as hub,
        gateway_for(hub.url, tmp_path) as gateway,
    ):
        # A first one, so that what is opened once is open.
        assert await _status(gateway.http, f"{gateway.url}/-/live") == 200
        tasks, sockets = asyncio.all_tasks(), open_sockets()
        opened = [connection_to(gateway.url) for _ in range(callers)]
        for each in opened:
            await (await each.__aenter__()).send(raw)
        await hub.arrived(callers)
        for each in opened:
            await each.__aexit__(None, None, None)
        await hub.left(callers)
        await eventually(lambda: not _left_over(tasks), what="the end of all tasks")
        await eventually(lambda: open_sockets() <= sockets, what="the end of all sockets")
        assert len(hub.asked) == callers
        hub.release()
        assert await _status(gateway.http, f"{gateway.url}/api/account") == 200


async def test_running_out_of_files_is_survived(tmp_path: Path) -> None:
    """More connections than the process may open: those beyond wait, and are served once others have gone."""
    async with (
        held_hub(says(200, b'{"name": "alice"}')) as hub,
        serving(tmp_path, open_files=100, HF_ENDPOINT=hub.url) as server,
    ):
        hub.release()
        idle = [connection_to(server.url) for _ in range(150)]
        for each in idle:
            await each.__aenter__()
        for each in idle:
            await each.__aexit__(None, None, None)
        async with aiohttp.ClientSession() as session:
            assert await _status(session, f"{server.url}/api/account") == 200
        assert await server.end() == 0


async def _status(session: aiohttp.ClientSession, url: str) -> int:
    async with session.get(url) as response:
        await response.read()
        return response.status


def _left_over(before: set[asyncio.Task[object]]) -> set[asyncio.Task[object]]:
    """Unfinished tasks of the gateway that were not there before; the double's own stay until its end."""
    return {
        task
        for task in asyncio.all_tasks() - before
        if not task.done() and "HeldHub" not in repr(task.get_coro()) and task is not asyncio.current_task()
    }
