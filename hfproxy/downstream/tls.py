"""HTTPS for our clients, with a certificate that may change while we serve."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from hfproxy.beside import beside
from hfproxy.certificates import BadCertificate, CertificateFiles, certificate_files
from hfproxy.settings import ServerSettings

log = structlog.get_logger(__name__)

_SPOKEN_PLAIN = b"This port speaks HTTPS: write https:// instead of http://\n"
_PLAIN_ANSWER = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
    % (len(_SPOKEN_PLAIN), _SPOKEN_PLAIN)
)


class ServingCertificate:
    """The certificate that new connections are shown: the files' newest state that could be used.

    `context` is what a socket is opened with. Connections that exist keep what they were opened with.
    """

    def __init__(self, files: CertificateFiles) -> None:
        """Raises BadCertificate."""
        self._files = files
        self._state = _state_of(files)
        self._current = self._load()
        self.context = _Context(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        # A context needs a certificate of its own before OpenSSL asks it which one to show.
        files.load_into(self.context)
        self.context.sni_callback = self._show_current

    @asynccontextmanager
    async def following_files(self, *, every: timedelta = timedelta(seconds=2)) -> AsyncIterator[None]:
        """While this is entered, files that change are taken over; ones that cannot be used are logged and left."""
        async with beside(self._follow(every.total_seconds()), name="follow certificate files"):
            yield

    async def _follow(self, every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            try:
                state = await asyncio.to_thread(_state_of, self._files)
                if state == self._state:
                    continue
                self._state = state
                self._current = await asyncio.to_thread(self._load)
            except BadCertificate as error:
                log.warning("certificate.refused", reason=str(error))

    def _load(self) -> ssl.SSLContext:
        leaf = self._files.read()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._files.load_into(context)
        left = leaf.not_valid_after_utc - datetime.now(UTC)
        log.info("certificate.loaded", path=str(self._files.certificate), valid_days=left.days)
        if left < timedelta(days=14):
            log.warning("certificate.expiring", path=str(self._files.certificate), valid_days=left.days)
        return context

    def _show_current(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._current


def serving_certificate(settings: ServerSettings) -> ServingCertificate | None:
    """What to serve HTTPS with; None for plain HTTP. Raises BadCertificate."""
    files = certificate_files(settings.tls_certificate, settings.tls_key) if settings.tls else None
    return ServingCertificate(files) if files is not None else None


def _state_of(files: CertificateFiles) -> tuple[tuple[int, int, int], ...] | None:
    """None while the files are away, as they are for a moment when they are exchanged."""
    try:
        return files.state()
    except OSError:
        return None


class _Handshake(ssl.SSLObject):
    """A connection's TLS, which tells a client that speaks plain HTTP so in plain HTTP.

    OpenSSL recognises such a client by its first bytes. The answer goes out where TLS would have gone; the client
    closes, or is closed when the handshake's time is over.
    """

    outgoing: ssl.MemoryBIO
    _told = False

    def do_handshake(self) -> None:
        if self._told:
            raise ssl.SSLWantReadError
        try:
            super().do_handshake()
        except ssl.SSLError as error:
            if error.reason != "HTTP_REQUEST":
                raise
            self._told = True
            self.outgoing.write(_PLAIN_ANSWER)
            raise ssl.SSLWantReadError from None


class _Context(ssl.SSLContext):
    sslobject_class = _Handshake

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *args: Any, **options: Any) -> ssl.SSLObject:
        connection = super().wrap_bio(incoming, outgoing, *args, **options)
        assert isinstance(connection, _Handshake)
        connection.outgoing = outgoing
        return connection
