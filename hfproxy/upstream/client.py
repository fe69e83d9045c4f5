"""Calls to the Hub: what is sent and what is made of the answers. Sessions are opened in `connecting.py`."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Any, TypeVar
from urllib.parse import urlencode

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from yarl import URL

from hfproxy import __version__
from hfproxy.errors import HubMisspoke, Overloaded
from hfproxy.facts import count_upstream_call, request_id
from hfproxy.upstream.addresses import Origin
from hfproxy.upstream.credentials import Credential
from hfproxy.upstream.faults import network_faults, refusal
from hfproxy.upstream.headers import TRACE_ID
from hfproxy.upstream.redirects import led_to
from hfproxy.upstream.streaming import StreamedAnswer, open_stream

USER_AGENT = f"hfproxy/{__version__}; aiohttp/{aiohttp.__version__}"
CLOSING_S = 5.0
_MAX_HOPS = 5
_READS = frozenset({"GET", "HEAD"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_METHOD_KEEPING_REDIRECTS = frozenset({307, 308})

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class HubAnswer:
    """A whole answer below 400; `asked` names the call for messages."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes
    asked: str

    def json(self) -> Any:
        """The body as JSON. Raises HubMisspoke."""
        try:
            return from_json(self.body, allow_inf_nan=False)
        except ValueError:
            raise HubMisspoke("not JSON", asked=self.asked, content_type=self.headers.get("Content-Type", "")) from None

    def read_as(self, model: type[M]) -> M:
        """The body as one of `wire.py`'s models. Raises HubMisspoke."""
        try:
            return model.model_validate(self.json())
        except ValidationError as error:
            fields = ", ".join(".".join(map(str, details["loc"])) or "body" for details in error.errors())
            raise HubMisspoke(f"unexpected JSON ({fields})", asked=self.asked) from None

    def confirmation(self) -> dict[str, Any]:
        """What the Hub said of a write that it did: an object, or nothing, since contract 2.2 to 2.4 promise no JSON.

        Raises HubMisspoke for what confirms nothing: a login page (contract 9.18), half of a JSON body, no success.
        """
        content_type = self.headers.get("Content-Type", "")
        if not 200 <= self.status < 300:
            raise HubMisspoke(f"an answer of {self.status} to a write", asked=self.asked)
        if content_type.startswith("text/html") or self.body.lstrip().startswith(b"<"):
            raise HubMisspoke("a web page", asked=self.asked, content_type=content_type)
        if self.body.lstrip()[:1] not in {b"{", b"["}:
            return {}  # words, as the `OK` of a deletion, or none
        said = self.json()
        return said if isinstance(said, dict) else {}


class HubClient:
    """Speaks to one Hub over pooled connections; knows its origin and sends a token to no other.

    A call is sent once: what may have reached the Hub is never repeated here, and a redirect is followed only within
    the Hub's own origin and, for a write, only where the Hub says to repeat the method (307, 308).
    """

    def __init__(
        self,
        endpoint: str,
        session: aiohttp.ClientSession,
        *,
        answer_timeout: timedelta = timedelta(seconds=30),
        max_connections: int = 200,
        max_body_size: int = 64 * 1024**2,
        count_places: Callable[[int], None] = lambda _: None,
    ) -> None:
        """count_places: told how many more calls hold one of the `max_connections` places, or how many fewer."""
        self.endpoint = endpoint
        self.origin = Origin.of(URL(endpoint))
        self._session = session
        self._answer_timeout_s = answer_timeout.total_seconds()
        self._places = asyncio.Semaphore(max_connections)
        self._count_places = count_places
        self._max_body_size = max_body_size

    async def call(
        self,
        method: str,
        path: str,
        *,
        credential: Credential,
        query: Sequence[tuple[str, str]] = (),
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> HubAnswer:
        """One API call, its answer read whole.

        path: encoded, beginning with a slash. body: sent as JSON unless None. Raises UpstreamError for whatever went
        wrong (HubRefused carries the Hub's own 4xx), Overloaded if no connection became free in time.
        """
        asked = f"{method} {path}"
        url = URL(self.endpoint + path + (f"?{urlencode(query)}" if query else ""), encoded=True)
        deadline = monotonic() + self._answer_timeout_s
        async with self._place(asked):
            for _ in range(_MAX_HOPS):
                answer = await self._send(method, url, credential, body, headers, asked, deadline)
                if answer.status not in _REDIRECTS:
                    return answer
                url = self._next_hop(method, url, answer)
        raise HubMisspoke(f"more than {_MAX_HOPS} redirects", asked=asked)

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: URL,
        *,
        credential: Credential,
        headers: Iterable[tuple[str, str]],
        body: AsyncIterable[bytes] | bytes | None = None,
    ) -> AsyncIterator[StreamedAnswer]:
        """One call whose answer, of any status, is handed on as it arrives; the token goes to the Hub's origin only.

        headers: all that are sent but `Host` and `Authorization`. Raises UpstreamError, Overloaded.
        """
        at_home = Origin.of(url) == self.origin
        asked = f"{method} {url.raw_path.partition('?')[0] if at_home else url.host}"
        sent = list(headers)
        if at_home and credential.token is not None:
            sent.append(("Authorization", f"Bearer {credential.token}"))
        async with (
            self._place(asked),
            open_stream(self._session, method, url, headers=sent, body=body, asked=asked) as answer,
        ):
            yield answer

    @asynccontextmanager
    async def websocket(
        self,
        url: URL,
        *,
        credential: Credential,
        headers: Iterable[tuple[str, str]],
        protocols: Sequence[str],
        max_message_size: int,
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A WebSocket of the Hub's. Raises UpstreamError (HubRefused if the Hub says no), Overloaded."""
        asked = f"GET {url.raw_path.partition('?')[0]}"
        sent = CIMultiDict(headers)
        if Origin.of(url) == self.origin and credential.token is not None:
            sent["Authorization"] = f"Bearer {credential.token}"
        count_upstream_call()
        async with self._place(asked):
            try:
                with network_faults(asked):
                    socket = await self._session.ws_connect(
                        url, headers=sent, protocols=protocols, autoping=False, max_msg_size=max_message_size
                    )
            except HubMisspoke as error:
                if isinstance(cause := error.__cause__, aiohttp.WSServerHandshakeError) and cause.status >= 400:
                    raise refusal(cause.status, cause.headers or {}, b"", asked=asked, credential=credential) from cause
                raise
            try:
                yield socket
            finally:
                # A Hub that goes on sending would be listened to without an end.
                with suppress(TimeoutError):
                    async with asyncio.timeout(CLOSING_S):
                        await socket.close()

    def address(self, raw_target: str) -> URL:
        """The Hub's address for a path and query of ours, every byte of them kept."""
        endpoint = URL(self.endpoint)
        return URL.build(
            scheme=endpoint.scheme,
            authority=endpoint.raw_authority,  # the other one has lost the brackets of an IPv6 address
            path=endpoint.raw_path.rstrip("/") + raw_target,
            encoded=True,
        )

    @asynccontextmanager
    async def _place(self, asked: str) -> AsyncIterator[None]:
        """A place among the calls under way; Overloaded if none becomes free in time."""
        if not self._places.locked():
            await self._places.acquire()  # at once
        else:
            try:
                async with asyncio.timeout(self._answer_timeout_s):
                    await self._places.acquire()
            except TimeoutError:
                raise Overloaded("all connections to the Hub are busy", asked=asked) from None
        self._count_places(1)
        try:
            yield
        finally:
            self._count_places(-1)
            self._places.release()

    async def _send(
        self,
        method: str,
        url: URL,
        credential: Credential,
        body: Any,
        headers: Mapping[str, str] | None,
        asked: str,
        deadline: float,
    ) -> HubAnswer:
        count_upstream_call()
        with network_faults(asked):
            async with self._session.request(
                method,
                url,
                json=body,
                headers=self._headers(credential, headers),
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=max(deadline - monotonic(), 0.001)),
            ) as response:
                content = await self._read(response, asked)
        if response.status >= 400:
            raise refusal(response.status, response.headers, content, asked=asked, credential=credential)
        return HubAnswer(response.status, response.headers, content, asked)

    async def _read(self, response: aiohttp.ClientResponse, asked: str) -> bytes:
        content = bytearray()
        async for chunk in response.content.iter_any():
            content += chunk
            if len(content) > self._max_body_size:
                raise HubMisspoke(f"an answer of more than {self._max_body_size} bytes", asked=asked)
        return bytes(content)

    def _headers(self, credential: Credential, extra: Mapping[str, str] | None) -> CIMultiDict[str]:
        headers = CIMultiDict({"User-Agent": USER_AGENT, "Accept": "application/json", **(extra or {})})
        if (trace_id := request_id()) is not None:
            headers[TRACE_ID] = trace_id
        if credential.token is not None:
            headers["Authorization"] = f"Bearer {credential.token}"
        return headers

    def _next_hop(self, method: str, url: URL, answer: HubAnswer) -> URL:
        target = led_to(url, answer.headers.get("Location", ""), answer.asked)
        if Origin.of(target) != self.origin:
            raise HubMisspoke(f"a redirect to another host ({target.host})", asked=answer.asked)
        if method not in _READS and answer.status not in _METHOD_KEEPING_REDIRECTS:
            raise HubMisspoke(f"a redirect ({answer.status}) that would change the method", asked=answer.asked)
        return target
