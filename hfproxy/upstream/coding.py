"""Content codings undone, for the few answers that are read on their way."""

import zlib

from hfproxy.errors import HubMisspoke

_WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}


def identity(body: bytes, content_encoding: str, *, max_size: int, asked: str) -> bytes:
    """The body without its coding. Raises HubMisspoke: unknown coding, broken, or more than `max_size` bytes."""
    coding = content_encoding.strip().lower()
    if coding in {"", "identity"}:
        return body
    if coding not in _WINDOW_BITS:
        raise HubMisspoke(f"an answer coded as {coding!r}, which was not asked for", asked=asked)
    try:
        decoder = zlib.decompressobj(_WINDOW_BITS[coding])
        plain = decoder.decompress(body, max_size + 1)
    except zlib.error as error:
        raise HubMisspoke(f"a broken {coding} body: {error}", asked=asked) from None
    if len(plain) > max_size:
        raise HubMisspoke(f"an answer of more than {max_size} bytes", asked=asked)
    if not decoder.eof:
        raise HubMisspoke(f"a {coding} body that ends early", asked=asked)
    return plain
