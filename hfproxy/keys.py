"""Keys of the shared resources that an application holds; a service's key lives in its feature's `routes.py`."""

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from hfproxy.downstream.access import Caller
from hfproxy.errands import Errands
from hfproxy.metrics import Metrics
from hfproxy.settings import Settings
from hfproxy.storage.blobs import BlobStore
from hfproxy.storage.database import Database
from hfproxy.storage.notices import Notices
from hfproxy.upstream.client import HubClient
from hfproxy.upstream.credentials import Credential
from hfproxy.upstream.watching import HubSightings
from hfproxy.writes import WriteWatcher

SETTINGS: Final = web.AppKey("settings", Settings)
DATABASE: Final = web.AppKey("database", Database)
BLOBS: Final = web.AppKey[BlobStore]("blobs")
NOTICES: Final = web.AppKey("notices", Notices)
HUB: Final = web.AppKey("hub", HubClient)
# Told of every write that was relayed, before its caller hears of it.
WRITE_WATCHERS: Final = web.AppKey("write_watchers", list[WriteWatcher])
# What is done to its end though its caller goes away.
ERRANDS: Final = web.AppKey("errands", Errands)
METRICS: Final = web.AppKey("metrics", Metrics)
SIGHTINGS: Final = web.AppKey("sightings", HubSightings)
Check = Callable[[], Awaitable[str | None]]
"""Raises, with a message that an operator understands, where the gateway cannot do its part; a text says what it does
its part without; None: all is well."""
# What `/-/ready` asks: name → check. Whoever opens a resource puts its check here.
CHECKS: Final = web.AppKey[dict[str, Check]]("checks")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
# Handlers whose requests carry a right that the gateway itself gave, and who that makes the caller.
CARRIED: Final = web.AppKey[dict[Handler, Callable[[web.Request], Awaitable[Caller]]]]("carried")

# Whose token the Hub is asked with on this request's behalf.
ACTING: Final = web.RequestKey("acting", Credential)
