"""Sessions to the Hub: every connection to it is opened here, past one proxy, by one trust, within one time."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta

import aiohttp
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from hfproxy.settings import UpstreamSettings
from hfproxy.upstream.once import never_write_twice
from hfproxy.upstream.proxy import HubProxy
from hfproxy.upstream.soundness import only_sound_answers
from hfproxy.upstream.tls import hub_trust


def session_to(
    upstream: UpstreamSettings, *, watching: Sequence[aiohttp.TraceConfig] = ()
) -> AbstractAsyncContextManager[aiohttp.ClientSession]:
    """A session as the settings want it, with its own connections; `watching` sees each call. Raises BadCertificate."""
    return hub_session(
        connect_timeout=upstream.connect_timeout,
        tls=hub_trust(upstream),
        proxy=HubProxy(upstream.proxy.get_secret_value(), upstream.no_proxy) if upstream.proxy else None,
        watching=watching,
    )


@asynccontextmanager
async def hub_session(
    *,
    connect_timeout: timedelta,
    tls: ssl.SSLContext | None = None,
    proxy: HubProxy | None = None,
    watching: Sequence[aiohttp.TraceConfig] = (),
) -> AsyncIterator[aiohttp.ClientSession]:
    """The one session to the Hub: connections are kept and reused, cookies are not; `watching` sees each call.

    How many calls run at once is HubClient's to limit, so that waiting for a place is not mistaken for a slow Hub.
    tls: whom to trust (`tls.py`); None trusts whom the machine trusts.
    """
    async with aiohttp.ClientSession(
        connector=_HubConnector(proxy, tls, connect_timeout.total_seconds()),
        cookie_jar=aiohttp.DummyCookieJar(),
        middlewares=(only_sound_answers, never_write_twice),
        timeout=aiohttp.ClientTimeout(total=None),  # calls say their own; the connector bounds each connection
        max_line_size=64 * 1024,
        max_field_size=64 * 1024,
        trace_configs=list(watching),
    ) as session:
        yield session


class _HubConnector(aiohttp.TCPConnector):
    """The one place every connection goes through, so that no call can be made past the proxy, or wait too long."""

    def __init__(self, proxy: HubProxy | None, tls: ssl.SSLContext | None, connect_timeout_s: float) -> None:
        super().__init__(limit=0, ttl_dns_cache=30, ssl=tls or True)
        self._proxy, self._connect_timeout_s = proxy, connect_timeout_s

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        if self._proxy is not None:
            self._proxy.direct(req)
        # Here and not as `sock_connect`, which bounds each handshake, but not the wait for a proxy's word on CONNECT.
        async with asyncio.timeout(self._connect_timeout_s):
            return await super().connect(req, traces, timeout)
