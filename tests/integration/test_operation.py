"""Health, metrics and the description of the API, asked of a running gateway."""

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from prometheus_client.parser import text_string_to_metric_families

from hfproxy.cli.openapi import description
from tests.support.databases import new_postgres_database
from tests.support.gateway import Gateway, gateway_for
from tests.support.scripted_hub import Asked, hangs, says, scripted_hub
from tests.support.waiting import PATIENCE_S

ROOT = Path(__file__).parents[2]
TOKEN = "hf_gateway_token_of_the_tests"


async def _samples(gateway: Gateway) -> dict[tuple[str, str], float]:
    async with gateway.http.get(f"{gateway.url}/-/metrics") as response:
        assert response.status == 200
        assert response.content_type == "text/plain"
        text = await response.text()
    assert TOKEN not in text
    return {
        (sample.name, ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_the_process_lives_whatever_the_hub_does(tmp_path: Path) -> None:
    async with gateway_for("http://127.0.0.1:9", tmp_path) as gateway:
        for path in ("/-/live", "/-/live/"):
            async with gateway.http.get(gateway.url + path) as response:
                assert (response.status, await response.json()) == (200, {"status": "alive"})


async def test_a_gateway_is_ready_while_the_hub_is_away_and_says_so(tmp_path: Path) -> None:
    async with (
        gateway_for("http://127.0.0.1:9", tmp_path) as gateway,
        gateway.http.get(f"{gateway.url}/-/ready") as response,
    ):
        assert response.status == 200
        told = await response.json()
    assert told["status"] == "ready"
    assert told["checks"] == {"files": "ok", "storage": "ok", "database": "ok"}
    assert (told["upstream"]["state"], told["upstream"]["error"]) == ("failing", "HubUnreachable")


async def test_readiness_asks_the_hub_once_and_without_the_token(tmp_path: Path) -> None:
    async with (
        scripted_hub(says(401, b'{"error":"Invalid username or password."}')) as hub,
        gateway_for(hub.url, tmp_path) as gateway,
    ):
        for _ in range(5):
            async with gateway.http.get(f"{gateway.url}/-/ready") as response:
                told = await response.json()
                assert told["upstream"]["state"] == "reachable"
    [asked] = hub.asked
    assert asked.raw_path == "/api/whoami-v2"
    assert "authorization" not in asked.headers


async def test_readiness_does_not_wait_for_a_hub_that_hangs(tmp_path: Path) -> None:
    async with (
        scripted_hub(hangs) as hub,
        gateway_for(hub.url, tmp_path, UPSTREAM__ANSWER_TIMEOUT="1h") as gateway,
        asyncio.timeout(PATIENCE_S),
        gateway.http.get(f"{gateway.url}/-/ready") as response,
    ):
        assert (response.status, (await response.json())["upstream"]["state"]) == (200, "unknown")


async def test_a_hub_that_fails_is_told_as_failing_from_the_callers_own_calls(tmp_path: Path) -> None:
    async with scripted_hub(says(500)) as hub, gateway_for(hub.url, tmp_path) as gateway:
        async with gateway.http.get(f"{gateway.url}/api/account"):
            pass
        async with gateway.http.get(f"{gateway.url}/-/ready") as response:
            told = (await response.json())["upstream"]
    assert (told["state"], told["error"]) == ("failing", "HTTP 500")
    assert len(hub.asked) == 1


async def test_a_gateway_whose_database_takes_no_writes_is_degraded_until_it_does(
    tmp_path: Path, postgres_server: str
) -> None:
    async with new_postgres_database(postgres_server) as database:
        admin = await asyncpg.connect(database)

        async def become(read_only: str) -> None:
            """As a standby does; who is connected loses the connection."""
            await admin.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE")
            await admin.execute(
                f'ALTER DATABASE "{await admin.fetchval("SELECT current_database()")}"'
                f" SET default_transaction_read_only = {read_only}"
            )
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

        async def until_it_says(status: str) -> str:
            async with asyncio.timeout(60):
                while True:
                    async with gateway.http.get(f"{gateway.url}/-/ready") as response:
                        told = await response.json(content_type=None)
                    if told["status"] == status:
                        return str(told["checks"]["database"])

        async with gateway_for("http://127.0.0.1:9", tmp_path, STORAGE__DATABASE=database) as gateway:
            await until_it_says("ready")
            await become("on")
            async with gateway.http.post(f"{gateway.url}/api/repos/create", json={"name": "demo"}) as response:
                assert response.status == 503
            assert (await until_it_says("degraded")).startswith("writes are refused")
            await become("off")
            assert await until_it_says("ready") == "ok"
        await admin.close()


async def test_a_gateway_whose_database_is_gone_is_not_ready(tmp_path: Path, postgres_server: str) -> None:
    async with AsyncExitStack() as stack:
        async with new_postgres_database(postgres_server) as database:
            gateway = await stack.enter_async_context(
                gateway_for("http://127.0.0.1:9", tmp_path, STORAGE__DATABASE=database)
            )
            async with gateway.http.get(f"{gateway.url}/-/ready") as response:
                assert (response.status, (await response.json())["checks"]["database"]) == (200, "ok")
        async with gateway.http.get(f"{gateway.url}/-/ready") as response:
            problem = await response.json(content_type=None)
            assert (response.status, problem["code"]) == (503, "NotReady")
    assert problem["checks"]["storage"] == "ok"
    assert problem["checks"]["database"].startswith("StorageUnavailable")


async def test_requests_and_calls_to_the_hub_are_counted_with_few_labels(tmp_path: Path) -> None:
    async with scripted_hub(says(200, b'{"name": "alice"}')) as hub, gateway_for(hub.url, tmp_path) as gateway:
        for path in ("/api/account", "/api/account/", "/-/nothing/1", "/-/nothing/2", f"/-/{TOKEN}"):
            async with gateway.http.get(gateway.url + path):
                pass
        async with gateway.http.request("PROPFIND", f"{gateway.url}/api/account"):
            pass
        samples = await _samples(gateway)
    assert samples["hfproxy_requests_total", "method=GET,route=/api/account,status=200"] == 2
    assert samples["hfproxy_requests_total", "method=GET,route=/{path},status=404"] == 3
    assert samples["hfproxy_requests_total", "method=other,route=/{path},status=405"] == 1
    assert samples["hfproxy_request_duration_seconds_count", "method=GET,route=/api/account"] == 2
    assert samples["hfproxy_requests_in_flight", ""] == 1
    assert samples["hfproxy_upstream_calls_total", "method=GET,outcome=200"] == 2
    assert samples["hfproxy_upstream_call_duration_seconds_count", "method=GET"] == 2
    assert samples["hfproxy_upstream_connections_total", "how=opened"] == 1
    assert samples["hfproxy_upstream_connections_total", "how=reused"] == 1
    assert samples["hfproxy_upstream_places", ""] == 200
    assert samples["hfproxy_upstream_places_used", ""] == 0
    assert samples["hfproxy_upstream_calls_in_flight", ""] == 0
    assert any(name == "process_resident_memory_bytes" for name, _ in samples)
    assert any(name == "hfproxy_build_info" for name, _ in samples)


async def test_calls_that_get_no_answer_are_counted_by_what_went_wrong(tmp_path: Path) -> None:
    async with (
        scripted_hub(hangs) as hub,
        gateway_for(hub.url, tmp_path, UPSTREAM__ANSWER_TIMEOUT="200ms") as gateway,
    ):
        async with gateway.http.get(f"{gateway.url}/api/account") as response:
            assert response.status == 504
        samples = await _samples(gateway)
    assert samples["hfproxy_upstream_calls_total", "method=GET,outcome=HubSlow"] == 1
    assert samples["hfproxy_upstream_calls_in_flight", ""] == 0


@pytest.mark.parametrize(("role", "status"), [("reader", 401), ("none", 200)])
async def test_metrics_are_for_the_role_that_is_set(role: str, status: int, tmp_path: Path) -> None:
    variables = {"ACCESS__ANONYMOUS": "none", "OPS__METRICS_ROLE": role}
    async with (
        gateway_for("http://127.0.0.1:9", tmp_path, **variables) as gateway,
        gateway.http.get(f"{gateway.url}/-/metrics") as response,
    ):
        assert response.status == status


async def test_a_full_gateway_still_answers_those_who_look_after_it(tmp_path: Path) -> None:
    arrived = asyncio.Event()

    async def hangs_and_tells(asked: Asked, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await hangs(asked, writer)

    async with (
        scripted_hub(hangs_and_tells) as hub,
        gateway_for(hub.url, tmp_path, SERVER__MAX_REQUESTS_IN_FLIGHT="1") as gateway,
    ):
        waiting = asyncio.create_task(gateway.http.get(f"{gateway.url}/api/account"))
        async with asyncio.timeout(PATIENCE_S):
            await arrived.wait()
        async with gateway.http.get(f"{gateway.url}/api/account") as response:
            assert response.status == 503
            assert response.headers["Retry-After"] == "1"
        for path in ("/-/live", "/-/ready", "/-/metrics"):
            async with gateway.http.get(gateway.url + path) as response:
                assert response.status == 200
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


async def test_the_description_is_valid_and_the_same_served_printed_and_checked_in(tmp_path: Path) -> None:
    async with (
        gateway_for("http://127.0.0.1:9", tmp_path, ACCESS__ANONYMOUS="none") as gateway,
        gateway.http.get(f"{gateway.url}/-/openapi.json") as response,
    ):
        served = await response.json()
    OpenAPIV31SpecValidator(served).validate()
    assert description() == (ROOT / "openapi.json").read_text(), "run `hfproxy openapi > openapi.json`"
    assert served == json.loads(description())


def test_every_path_of_our_own_is_described() -> None:
    described = set(json.loads(description())["paths"])
    assert {"/api/account", "/api/repo", "/-/live", "/-/ready", "/-/metrics", "/-/openapi.json"} <= described


async def test_a_path_of_ours_says_which_methods_it_takes(tmp_path: Path) -> None:
    async with gateway_for("http://127.0.0.1:9", tmp_path) as gateway:
        async with gateway.http.options(f"{gateway.url}/api/repo/") as response:
            assert (response.status, response.headers["Allow"]) == (204, "DELETE, GET, HEAD, OPTIONS, POST, PUT")
        async with gateway.http.patch(f"{gateway.url}/api/account") as response:
            assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
        async with gateway.http.head(f"{gateway.url}/-/live") as response:
            assert (response.status, response.content_length) == (200, len('{"status":"alive"}'))
