"""Spaces: what they run with and how they stand, and the logs and events that are followed live.

Source: contract section 7; `huggingface_hub` `hf_api.py`, the Space methods. Only names of secrets are kept: nothing
here could use the values.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from aiohttp import web

from ..answers import json_answer
from ..call import Call
from ..refusals import BadRequest, Refusal
from ..repository import Repository
from ..routing import Routes
from ..running import HARDWARE, Running
from ..space_settings import named
from ..whoami import iso

routes = Routes()

# Clients that only drain a log wait five seconds for more (`huggingface_hub` `fetch_space_logs`).
KEEP_ALIVE_S = 15.0
LONGEST_SLEEP_S = 10**9


@routes.get("/api/spaces/hardware")
async def hardware(call: Call) -> web.StreamResponse:
    return json_answer(
        [
            {
                "name": name,
                "prettyName": pretty_name,
                "cpu": cpu,
                "ram": ram,
                "ephemeralStorage": "50 GB",
                "accelerator": None,
                "unitCostMicroUSD": 0,
                "unitCostUSD": 0.0,
                "unitLabel": "minute",
            }
            for name, (pretty_name, cpu, ram) in HARDWARE.items()
        ]
    )


@routes.get("/api/spaces/{repo}/runtime")
async def runtime(call: Call) -> web.StreamResponse:
    return _runtime(call, call.visible_repo())


@routes.post("/api/spaces/{repo}/hardware")
async def request_hardware(call: Call) -> web.StreamResponse:
    fields = await call.json()
    if fields.get("flavor") not in list(HARDWARE):
        raise BadRequest(f'"flavor" must be one of [{", ".join(HARDWARE)}]')
    changed: dict[str, Any] = {"hardware": fields["flavor"], "restartedAt": _now(call)}
    if fields.get("sleepTimeSeconds") is not None:
        changed["sleepTimeSeconds"] = _seconds(fields["sleepTimeSeconds"], "sleepTimeSeconds")
    return _changed(call, **changed)


@routes.post("/api/spaces/{repo}/sleeptime")
async def set_sleep_time(call: Call) -> web.StreamResponse:
    return _changed(call, sleepTimeSeconds=_seconds((await call.json()).get("seconds"), "seconds"))


@routes.post("/api/spaces/{repo}/pause")
async def pause(call: Call) -> web.StreamResponse:
    return _changed(call, paused=True)


@routes.post("/api/spaces/{repo}/restart")
async def restart(call: Call) -> web.StreamResponse:
    return _changed(call, paused=False, restartedAt=_now(call))


@routes.post("/api/spaces/{repo}/dev-mode")
async def dev_mode(call: Call) -> web.StreamResponse:
    return _changed(call, devMode=(await call.json()).get("enabled") is True)


@routes.post("/api/spaces/{repo}/storage")
async def request_storage(call: Call) -> web.StreamResponse:
    tier = (await call.json()).get("tier")
    if tier not in ("small", "medium", "large"):
        raise BadRequest('"tier" must be one of [small, medium, large]')
    return _changed(call, storageTier=tier)


@routes.delete("/api/spaces/{repo}/storage")
async def delete_storage(call: Call) -> web.StreamResponse:
    return _changed(call, storageTier=None)


@routes.put("/api/spaces/{repo}/volumes")
async def put_volumes(call: Call) -> web.StreamResponse:
    """All volumes at once, as `runtime` tells them; nothing is mounted, as nothing is run."""
    volumes = (await call.json()).get("volumes")
    if not isinstance(volumes, list) or not all(isinstance(each, dict) for each in volumes):
        raise BadRequest('"volumes" must be a list of objects')
    return _changed(call, volumes=volumes)


@routes.delete("/api/spaces/{repo}/volumes")
async def delete_volumes(call: Call) -> web.StreamResponse:
    return _changed(call, volumes=None)


@routes.get("/api/spaces/{repo}/secrets", "/api/spaces/{repo}/variables")
async def settings(call: Call) -> web.StreamResponse:
    repo = call.writable_repo()
    return json_answer(repo.record.space.get(_kind(call)) or {})


@routes.post("/api/spaces/{repo}/secrets", "/api/spaces/{repo}/variables")
async def put_setting(call: Call) -> web.StreamResponse:
    repo, kind, fields = call.writable_repo(), _kind(call), await call.json()
    kept = dict(repo.record.space.get(kind) or {}) | named([fields], kind, call.hub.now())
    _changed(call, **{kind: kept, "restartedAt": _now(call)})
    return json_answer(kept if kind == "variables" else {})


@routes.delete("/api/spaces/{repo}/secrets", "/api/spaces/{repo}/variables")
async def delete_setting(call: Call) -> web.StreamResponse:
    repo, kind, key = call.writable_repo(), _kind(call), (await call.json()).get("key")
    kept = dict(repo.record.space.get(kind) or {})
    if not isinstance(key, str) or key not in kept:
        raise Refusal(f"No such key in the Space's {kind}", status=404)
    del kept[key]
    _changed(call, **{kind: kept, "restartedAt": _now(call)})
    return json_answer(kept if kind == "variables" else {})


@routes.get("/api/spaces/{repo}/logs/{kind}")
async def logs(call: Call) -> web.StreamResponse:
    repo, kind = call.writable_repo(), call.params["kind"]
    if kind not in {"run", "build"}:
        raise Refusal("There are logs of the build and of the run", status=404)
    told: list[datetime] = []

    def fresh() -> Iterator[dict[str, Any]]:
        """The lines of a start that was not told yet."""
        running = Running(repo, call.hub.now())
        started_at = running.started_at
        if started_at is None or started_at in told or (kind == "run" and running.stage != "RUNNING"):
            return
        told.append(started_at)
        yield from ({"data": f"{line}\n", "timestamp": iso(started_at)} for line in _lines(kind, repo, started_at))

    return await _followed(call, repo, fresh)


@routes.get("/api/spaces/{repo}/events")
async def events(call: Call) -> web.StreamResponse:
    repo = call.visible_repo()
    last: list[dict[str, Any]] = []

    def fresh() -> Iterator[dict[str, Any]]:
        """The runtime, when it is not what was told last."""
        told = Running(repo, call.hub.now()).told()
        if last != [told]:
            last[:] = [told]
            yield told

    return await _followed(call, repo, fresh)


async def _followed(call: Call, repo: Repository, fresh: Any) -> web.StreamResponse:
    """Server-sent events: what is `fresh`, again and again, until the reader or the Space goes away."""
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await answer.prepare(call.request)
    while call.request.method != "HEAD" and any(repo is other for other in call.hub.repos):
        for event in fresh():
            await answer.write(f"data: {json.dumps(event)}\n\n".encode())
        changes_in_s = Running(repo, call.hub.now()).changes_in_s
        wait_s = KEEP_ALIVE_S if changes_in_s is None else changes_in_s
        if not await call.hub.pulses.next(repo.record.oid, at_most_s=wait_s) and changes_in_s is None:
            await answer.write(b"data:\n\n")
    return answer


def _lines(kind: str, repo: Repository, started_at: datetime) -> list[str]:
    at = f"{started_at:%Y-%m-%d %H:%M:%S}"
    if kind == "build":
        return [f"===== Build Queued at {at} / Commit SHA: {(repo.head or '')[:7]} =====", "A sandbox builds nothing."]
    return [f"===== Application Startup at {at} =====", "A sandbox runs no application."]


def _kind(call: Call) -> str:
    return call.raw_path.rstrip("/").rpartition("/")[2]


def _now(call: Call) -> str:
    return call.hub.now().isoformat()


def _seconds(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -1 <= value <= LONGEST_SLEEP_S:
        raise BadRequest(f'"{name}" must be a number of seconds')
    return value


def _changed(call: Call, **fields: Any) -> web.Response:
    repo = call.writable_repo()
    repo.record.space = repo.record.space | fields
    call.hub.keep(repo)
    call.hub.announce(repo, "update", "repo.config")
    return _runtime(call, repo)


def _runtime(call: Call, repo: Repository) -> web.Response:
    return json_answer(Running(repo, call.hub.now()).told())
