"""LFS objects for git, from the same blobs as files: both are named by their sha256."""

from aiohttp import web

from hfproxy.downstream.access import Caller
from hfproxy.downstream.browsers import RELAYED
from hfproxy.facts import note
from hfproxy.features.files.answers import object_headers
from hfproxy.features.files.lookup import Found
from hfproxy.features.files.routes import answer_found
from hfproxy.storage.pointers import FileEntry
from hfproxy.upstream.credentials import NOBODY
from hfproxy.upstream.downloads import LfsObject, Way
from hfproxy.upstream.lfs import Target


def is_kept_by_its_name(target: Target) -> bool:
    """Whether a ticket is the right to read one object that we may have, or get without any header."""
    return target.gives_object and target.authorization is None


async def answer_object(request: web.Request, target: Target, holder: Caller) -> web.StreamResponse:
    """The object that a ticket is for. The Hub's answer to the batch was the holder's right; it asks nobody again."""
    assert target.oid is not None
    assert target.size_bytes is not None
    entry = FileEntry("", target.oid, target.size_bytes, True, "application/octet-stream", None)
    found = Found(entry, Way(LfsObject(target.oid, target.address), NOBODY), "hit")
    note(kind="object", blob=target.oid)
    request[RELAYED] = True
    return await answer_found(request, found, object_headers(entry, status=found.status), taken_by=holder)
