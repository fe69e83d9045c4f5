"""Xorbs' bytes on the CDN: sent in the ranges that an address was signed for, taken at the address of a grant.

Sources: contract section 5.3; xet-core `openapi/cas.openapi.yaml`, which says that a client must ask for all signed
ranges at once; `hf_xet` 1.8 asks for them one by one as well (decision 0033), but never for a part of one.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from aiohttp import web

from hfproxy.upstream.xet_hashes import unspelled

from ..cdn_refusals import CdnRefusal
from ..sending import Content, send
from .reconstructing import ByteRange
from .service import Announced
from .xorbs import BadXorb, Xorb

if TYPE_CHECKING:
    from ..hub import Hub

XORBS: Final = "/xorb/default/"
GRANTED: Final = "/xorb-uploads/"
_SIGNED_RANGE: Final = "X-Xet-Signed-Range"
_SEVERAL: Final = re.compile(r"bytes=\d{1,19}-\d{1,19}(?:, ?\d{1,19}-\d{1,19})*")


def xorb_url(hub: "Hub", xorb: Xorb, ranges: Sequence[ByteRange]) -> str:
    """A signed address of some ranges of a xorb."""
    signed = "bytes=" + ",".join(f"{first}-{last}" for first, last in ranges)
    return hub.cdn_url + hub.signer.sign("GET", f"{XORBS}{xorb.name}", {_SIGNED_RANGE: signed})


def granted_url(hub: "Hub", announced: Announced) -> str:
    """A signed address that takes an announced xorb."""
    return hub.cdn_url + hub.signer.sign("PUT", f"{GRANTED}{announced.grant_id}", {})


async def send_xorb(hub: "Hub", request: web.Request, raw_path: str, query: dict[str, str]) -> web.StreamResponse:
    """One or more of the ranges that the address is for. Raises CdnRefusal."""
    hub.cas.traffic.requests["xorb"] += 1
    asked = _ranges(request.headers.get("Range", ""))
    if not asked or not asked <= _ranges(query[_SIGNED_RANGE]):
        raise CdnRefusal(403, "AccessDenied", "The range is not one that was signed")
    xorb = hub.cas.store.xorb(unspelled(raw_path.removeprefix(XORBS)))
    if xorb is None:
        raise CdnRefusal(404, "NoSuchKey", "The specified key does not exist.")
    hub.cas.traffic.bytes_out += sum(last - first + 1 for first, last in asked)
    content = Content(f'"{xorb.name}"', "application/octet-stream", xorb.packed_bytes, path=hub.cas.store.path(xorb))
    headers = {
        "Cache-Control": "public, max-age=31536000",
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Expose-Headers": "*",
    }
    return await send(request, content, headers, several_ranges=True)


async def take_xorb(hub: "Hub", request: web.Request, raw_path: str) -> web.Response:
    """What is uploaded to a grant's address; the store looks at it when it is committed. Raises CdnRefusal."""
    hub.cas.traffic.requests["granted"] += 1
    announced = hub.cas.announced(raw_path.removeprefix(GRANTED))
    if announced is None:
        raise CdnRefusal(404, "NoSuchUpload", "The specified upload does not exist.")
    if announced.path is not None:
        raise CdnRefusal(412, "PreconditionFailed", "The object exists")
    try:
        await hub.cas.receive_announced(announced, request.content.iter_any())
    except BadXorb as error:
        raise CdnRefusal(400, "InvalidRequest", str(error)) from None
    return web.Response(headers={"Access-Control-Allow-Origin": "*"})


def _ranges(header: str) -> frozenset[ByteRange]:
    """The first and last bytes that a `Range` names; nothing where it is malformed or leaves an end open."""
    if not _SEVERAL.fullmatch(header):
        return frozenset()
    spans = [span.split("-") for span in header.removeprefix("bytes=").split(",")]
    return frozenset((int(first), int(last)) for first, last in spans)
