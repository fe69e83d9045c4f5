"""Sessions to the Hub as the settings want them."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

import aiohttp

from hfproxy.settings import UpstreamSettings
from hfproxy.upstream.client import hub_session
from hfproxy.upstream.proxy import HubProxy
from hfproxy.upstream.tls import hub_trust


def session_to(
    upstream: UpstreamSettings, *, watching: Sequence[aiohttp.TraceConfig] = ()
) -> AbstractAsyncContextManager[aiohttp.ClientSession]:
    """A session with its own connections, trust and proxy; `watching` sees each call. Raises BadCertificate."""
    return hub_session(
        connect_timeout=upstream.connect_timeout,
        tls=hub_trust(upstream),
        proxy=HubProxy(upstream.proxy.get_secret_value(), upstream.no_proxy) if upstream.proxy else None,
        watching=watching,
    )
