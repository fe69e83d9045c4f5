"""A sandbox Hub that listens: the Hub on one port, its CDN on another, its Xet store on a third."""

import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from .answers import NOT_FOUND_TEXT, common_headers, kind_of_path, preflight, refusal_answer
from .call import Call
from .callers import NOBODY, identify
from .cas.origin import cas_app
from .cdn import cdn_app
from .config import SandboxConfig
from .hub import Hub
from .limits import RateLimits
from .record import Asked, Record
from .refusals import NOT_LOGGED_IN, NotLoggedIn, Refusal
from .routes import all_routes
from .routing import Routes
from .seed.plant import plant
from .tls import given_context, made_context
from .troubled import troubled

log = logging.getLogger(__name__)

# Signed addresses and long cursors: the Hub takes lines far beyond aiohttp's 8190 bytes.
LONGEST_LINE_BYTES = 64 * 1024
# Who offers a token to these is told what an anonymous caller is told (contract section 1.2).
WHOAMI = "/api/whoami-v2"
# Where Basic names an app and its secret, not a person.
FOR_APPS = frozenset({"/oauth/device", "/oauth/token"})


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running sandbox Hub."""

    hub: Hub
    url: str
    cdn_url: str
    cas_url: str
    authority: Path | None = None
    """The file to trust, where the sandbox speaks TLS with a certificate of its own making."""

    @property
    def asked(self) -> Record:
        """Every request that came in, to the Hub, the CDN and the Xet store."""
        return self.hub.asked


@asynccontextmanager
async def running_sandbox(config: SandboxConfig | None = None) -> AsyncIterator[Sandbox]:
    """A sandbox Hub, listening until the context ends. Raises OSError when a port is taken.

    Raises ssl.SSLError, an OSError too, for a certificate that cannot be used.
    """
    config = config or SandboxConfig()
    hub = Hub.opened(config)
    plant(hub)
    runners: list[web.AppRunner] = []
    try:
        tls, authority = _tls(hub)
        hub_port = await _listen(hub_app(hub), config.host, config.port, runners, tls)
        cdn_port = await _listen(cdn_app(hub), config.host, config.cdn_port, runners, tls)
        cas_port = await _listen(cas_app(hub), config.host, config.cas_port, runners, tls)
        scheme = "https" if tls else "http"
        host, elsewhere = config.host, config.cdn_name
        if ":" in host:
            host = elsewhere = f"[{host}]"  # many a machine's localhost is 127.0.0.1 alone
        hub.url = f"{scheme}://{host}:{hub_port}"
        hub.cdn_url = f"{scheme}://{elsewhere}:{cdn_port}"
        hub.cas_url = f"{scheme}://{elsewhere}:{cas_port}"
        yield Sandbox(hub, hub.url, hub.cdn_url, hub.cas_url, authority)
    finally:
        hub.troubles.clear()  # nothing that hangs on order keeps the end waiting
        for runner in runners:
            await runner.cleanup()
        await hub.deliveries.close()
        hub.close()


def _tls(hub: Hub) -> tuple[ssl.SSLContext | None, Path | None]:
    """What to speak TLS with, if at all, and the authority behind it."""
    config = hub.config
    if config.certificate is not None:
        return given_context(*config.certificate), None
    if config.tls is None:
        return None, None
    folder = hub.folder / "tls"
    hosts = [config.host, config.cdn_name, "localhost", "127.0.0.1", "::1"]
    return made_context(folder, config.tls, hosts), folder / "ca.pem"


async def _listen(
    app: web.Application, host: str, port: int, runners: list[web.AppRunner], tls: ssl.SSLContext | None
) -> int:
    runner = web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=1,
        max_line_size=LONGEST_LINE_BYTES,
        max_field_size=LONGEST_LINE_BYTES,
        auto_decompress=True,
    )
    runners.append(runner)
    await runner.setup()
    await web.TCPSite(runner, host, port, ssl_context=tls).start()
    bound: int = runner.addresses[0][1]
    return bound


def hub_app(hub: Hub) -> web.Application:
    """The Hub as an aiohttp application: one route that takes everything and reads the raw path itself."""
    app = web.Application(client_max_size=0)
    front = Front(hub, all_routes())
    app.router.add_route("*", "/{path:.*}", front.answer)
    app.on_response_prepare.append(front.mark)
    return app


class Front:
    """Takes a request to its handler and gives every answer what all of the Hub's have."""

    def __init__(self, hub: Hub, routes: Routes) -> None:
        self._hub = hub
        self._routes = routes
        self._limits = RateLimits(hub.config.quotas, enforced=hub.config.limit_rates)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        raw_path, _, raw_query = request.raw_path.partition("?")
        asked = Asked("hub", request.method, raw_path, raw_query, request.headers)
        self._hub.asked.add(asked)
        request[COMMON] = common_headers(request)
        try:
            answer = await troubled(self._hub.troubles, request, "hub", lambda: self._told(request, raw_path, asked))
        except Refusal as refusal:
            answer = refusal_answer(refusal, raw_path)
        asked.status = answer.status
        return answer

    async def _told(self, request: web.Request, raw_path: str, asked: Asked) -> web.StreamResponse:
        """The answer, a refusal's too."""
        try:
            answer = await self._handle(request, raw_path, asked)
        except Refusal as refusal:
            return refusal_answer(refusal, raw_path)
        except ConnectionError:
            raise
        except Exception as error:
            log.exception("sandbox.failed")
            return refusal_answer(Refusal(f"Internal Error ({type(error).__name__})", status=500), raw_path)
        if _unchanged(request, answer):
            return web.Response(status=304, headers={"ETag": answer.headers["ETag"]})
        return answer

    async def mark(self, request: web.Request, answer: web.StreamResponse) -> None:
        """Put the common headers on an answer; what a handler said about the same stands."""
        for name, value in request.get(COMMON, {}).items():
            answer.headers.setdefault(name, value)

    async def _handle(self, request: web.Request, raw_path: str, asked: Asked) -> web.StreamResponse:
        if request.method == "OPTIONS":
            return preflight(request)
        caller = NOBODY
        rejected: NotLoggedIn | None = None
        try:
            if raw_path not in FOR_APPS:
                caller = identify(request.headers.get("Authorization"), self._hub.accounts)
        except NotLoggedIn as refusal:
            rejected = NotLoggedIn(NOT_LOGGED_IN) if raw_path == WHOAMI else refusal
        standing = self._limits.spend(caller.name, request.remote or "", kind_of_path(raw_path))
        request[COMMON] |= standing.headers
        if standing.exceeded:
            raise Refusal(
                f"We had to rate limit you, you hit the quota of {standing.quota} {standing.bucket} requests per "
                f"{standing.window_s // 60} minutes period. Upgrade to a PRO user or Team/Enterprise organization "
                "account for higher limits.",
                status=429,
            )
        if rejected:
            raise rejected
        found = self._routes.find(request.method, raw_path, self._hub.repos.knows)
        if found is None:
            raise Refusal(NOT_FOUND_TEXT, status=404)
        handler, match = found
        return await handler(Call(request, self._hub, caller, match, asked))


COMMON = web.RequestKey("common", dict[str, str])


def _unchanged(request: web.Request, answer: web.StreamResponse) -> bool:
    """Whether a GET's JSON is what the client says it has."""
    known = request.headers.get("If-None-Match")
    etag = answer.headers.get("ETag", "")
    return (
        known is not None
        and request.method in {"GET", "HEAD"}
        and answer.status == 200
        and etag.startswith("W/")
        and etag.removeprefix("W/") in {part.strip().removeprefix("W/") for part in known.split(",")}
    )


__all__ = ["Sandbox", "SandboxConfig", "hub_app", "running_sandbox"]
