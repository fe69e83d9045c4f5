"""Builds what knows the callers, and refuses to start where everybody could do everything by accident."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from aiohttp import web

from hfproxy.downstream.access import Role
from hfproxy.downstream.browsers import KnownHosts
from hfproxy.features.access.attempts import FailedAttempts
from hfproxy.features.access.callers import AnonymousRules, Callers
from hfproxy.features.access.identify import CALLERS
from hfproxy.features.access.keyring import KEY_RING, KeyRing
from hfproxy.features.access.real_names import REAL_NAMES, RealNames
from hfproxy.features.access.store import KeyStore
from hfproxy.keys import DATABASE, HUB, SETTINGS, WRITE_WATCHERS
from hfproxy.loopback import is_loopback_name
from hfproxy.settings import AccessSettings, ServerSettings
from hfproxy.starting import CannotStart
from hfproxy.upstream.credentials import NOBODY, Credential
from hfproxy.writes import Written


class OpenToAll(CannotStart):
    """The address can be reached from elsewhere, and nothing says what strangers may do."""


@asynccontextmanager
async def provide(app: web.Application) -> AsyncIterator[None]:
    settings = app[SETTINGS]
    keys = KeyRing(store=KeyStore(app[DATABASE]))
    await keys.look()
    await _refuse_by_accident(settings.server, settings.access, keys)
    app[KEY_RING] = keys
    names = app[REAL_NAMES] = RealNames(hub=app[HUB], offline=settings.files.offline)

    async def forget_what_was_written(written: Written) -> None:
        names.forget(*written.route.named)

    app[WRITE_WATCHERS].append(forget_what_was_written)
    token = settings.upstream.token
    app[CALLERS] = Callers(
        keys=keys,
        attempts=FailedAttempts(settings.access.failed_attempts),
        anonymous=AnonymousRules(
            role=Role.named(settings.access.anonymous) if settings.access.anonymous is not None else None,
            hosts=KnownHosts(settings.server.allowed_hosts, listens_on=settings.server.host),
            hosts_named=bool(settings.server.allowed_hosts),
        ),
        hub_tokens=settings.access.hub_tokens,
        gateway=Credential("gateway", token.get_secret_value()) if token is not None else NOBODY,
    )
    following = asyncio.create_task(keys.follow(), name="follow gateway keys")
    try:
        yield
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following


def setup(app: web.Application) -> None:
    app.cleanup_ctx.append(provide)


async def _refuse_by_accident(server: ServerSettings, access: AccessSettings, keys: KeyRing) -> None:
    if access.anonymous is not None or keys.ever_made or await _is_loopback(server.host):
        return
    raise OpenToAll(
        f"the address {server.host} can be reached from other machines, and there are no gateway keys: whoever finds "
        "it could do all that the gateway's Hub token allows. Make a key first (hfproxy keys create NAME --role "
        "writer), or say what callers without one may do: HFPROXY_ACCESS__ANONYMOUS=none, reader, writer or admin"
    )


async def _is_loopback(host: str) -> bool:
    """Whether every address of a name is this machine's own; one that cannot be resolved is told by listening on it."""
    if is_loopback_name(host.strip("[]")):
        return True
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return all(is_loopback_name(str(address[0]).partition("%")[0]) for *_, address in found)
