"""git-lfs's API, with the Hub's multipart uploads: batch, completion, verification, locks.

Sources: contract section 6.4; git-lfs `docs/api/batch.md` and `docs/api/locking.md`.
"""

import base64
import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from aiohttp import web

from ..call import Call
from ..cdn import download_url, upload_url
from ..refusals import Forbidden, NotLoggedIn, Refusal
from ..repository import LfsRecord, Repository
from ..routing import Routes
from ..signing import Expired, NotSigned
from ..uploads import BadUpload
from ..xet import by_xet, granted
from .files import disposition

routes = Routes()

LFS_JSON: Final = "application/vnd.git-lfs+json"
MOST_OBJECTS: Final = 1000
COMPLETE: Final = "/api/complete_multipart"
# What an object store takes in one request. `huggingface_hub`'s tests look for the command in these words
# (`test_lfs.py`); the status is a guess.
ONE_PIECE_BYTES: Final = 5_000_000_000
IN_PARTS_ONLY: Final = (
    "You need to configure your repository to enable upload of files > 5GB.\n"
    'Run "huggingface-cli lfs-enable-largefiles ./path/to/your/repo" and try again.'
)
_OID: Final = re.compile(r"[0-9a-f]{64}")
_SHA256: Final = frozenset({"sha256", "sha_256"})  # the JavaScript client spells it so
_WITHOUT_WRITE_ACCESS: Final = ("refs/pr/", "refs/heads/refs/pr/")


@routes.post("/{web}/{repo.git}/info/lfs/objects/batch")
async def batch(call: Call) -> web.StreamResponse:
    fields = await call.json()
    operation = fields.get("operation")
    objects = fields.get("objects")
    if operation not in ("upload", "download") or not isinstance(objects, list):
        raise _refused(422, 'operation must be "upload" or "download", objects a list')
    if len(objects) > MOST_OBJECTS:
        raise _refused(413, f"at most {MOST_OBJECTS} objects")
    if str(fields.get("hash_algo", "sha256")) not in _SHA256:
        raise _refused(409, "hash_algo must be sha256")
    if operation == "download":
        repo = _repo_to_read(call)
        return _lfs_json({"transfer": "basic", "objects": [_download(call, repo, wanted) for wanted in objects]})
    repo = _repo_to_upload_to(call, fields.get("ref"))
    offered = fields.get("transfers")
    transfers = frozenset(map(str, offered)) if isinstance(offered, list) else frozenset({"basic"})
    by_xet_too = call.hub.config.xet and "xet" in transfers
    in_parts = _comes_in_parts(call, repo, objects, transfers if by_xet_too else transfers - {"xet"})
    answers = [_upload(call, repo, each, in_parts=in_parts) for each in objects]
    if by_xet_too:
        revision = _revision_of(fields.get("ref"))
        access = granted(call.hub, repo.record.oid, revision, "write", call.caller)
        objects = [by_xet(call.base_url, repo, quote(revision, safe=""), access, answer) for answer in answers]
        return _lfs_json({"transfer": "xet", "objects": objects})
    return _lfs_json({"transfer": "multipart" if in_parts else "basic", "objects": answers})


@routes.post(COMPLETE)
async def complete(call: Call) -> web.StreamResponse:
    """Join the parts of an upload. The address is the permission: no token comes with it."""
    try:
        query = call.hub.signer.check("POST", call.raw_path, call.raw_query)
    except (NotSigned, Expired) as error:
        raise Refusal(f"Not a valid upload: {type(error).__name__}", status=403) from None
    upload = call.hub.uploads.find(query["uploadId"])
    if upload is None:
        raise Refusal("No such upload", status=404)
    fields = await call.json()
    try:
        etags = {int(part["partNumber"]): str(part["etag"]).strip('"') for part in fields["parts"]}
    except (KeyError, TypeError, ValueError):
        raise _refused(422, "parts must be a list of {partNumber, etag}") from None
    try:
        await call.hub.uploads.complete(upload, etags)
    except BadUpload as error:
        raise _refused(400, str(error)) from None
    return _lfs_json({"success": True})


@routes.post("/{web}/{repo.git}/info/lfs/objects/verify")
async def verify(call: Call) -> web.StreamResponse:
    """Whether an object has arrived as it was announced."""
    fields = await call.json()
    repo = _repo_to_upload_to(call, None)
    record = repo.record.lfs.get(str(fields.get("oid")))
    if record is None:
        raise _refused(404, "Object not found")
    if record.size_bytes != fields.get("size"):
        raise _refused(422, f"The object has {record.size_bytes} bytes")
    return _lfs_json({})


@routes.post("/{web}/{repo.git}/info/lfs/locks")
async def lock(call: Call) -> web.StreamResponse:
    repo, fields = _repo_to_upload_to(call, {"name": "main"}), await call.json()
    path = fields.get("path")
    if not isinstance(path, str) or not path:
        raise _refused(422, "path is missing")
    if held := call.hub.file_locks.on(repo.record.oid, path):
        raise _refused(409, "already created lock", lock=held.told())
    assert call.caller.name is not None
    return _lfs_json({"lock": call.hub.file_locks.add(repo.record.oid, path, call.caller.name).told()}, status=201)


@routes.get("/{web}/{repo.git}/info/lfs/locks")
async def locks(call: Call) -> web.StreamResponse:
    repo = _repo_to_read(call)
    asked = {"path": call.value("path"), "id": call.value("id")}
    told = [held.told() for held in call.hub.file_locks.of(repo.record.oid)]
    wanted = [held for held in told if all(value in {None, held[name]} for name, value in asked.items())]
    return _lfs_json({"locks": wanted})


@routes.post("/{web}/{repo.git}/info/lfs/locks/verify")
async def locks_verify(call: Call) -> web.StreamResponse:
    """The caller's locks apart from those of others, which a push asks before it sends anything."""
    repo = _repo_to_upload_to(call, {"name": "main"})
    held = call.hub.file_locks.of(repo.record.oid)
    ours = [one.told() for one in held if one.owner == call.caller.name]
    return _lfs_json({"ours": ours, "theirs": [one.told() for one in held if one.owner != call.caller.name]})


@routes.post("/{web}/{repo.git}/info/lfs/locks/{lock_id}/unlock")
async def unlock(call: Call) -> web.StreamResponse:
    repo, fields = _repo_to_upload_to(call, {"name": "main"}), await call.json()
    held = call.hub.file_locks.find(repo.record.oid, call.params["lock_id"])
    if held is None:
        raise _refused(404, "No such lock")
    if held.owner != call.caller.name and not fields.get("force"):
        raise _refused(403, f"The lock is held by {held.owner}")
    call.hub.file_locks.remove(repo.record.oid, held.lock_id)
    return _lfs_json({"lock": held.told()})


def _repo_to_read(call: Call) -> Repository:
    try:
        return call.readable_repo()
    except NotLoggedIn:
        raise _challenged() from None


def _repo_to_upload_to(call: Call, ref: object) -> Repository:
    """The repository, if the caller may send it large files.

    A branch needs write access; a pull request does not, nor does an upload that names no branch, which is how the
    Python client begins one (contract section 6.5).
    """
    repo = _repo_to_read(call)
    if call.caller.account is None:
        raise _challenged()
    name = ref.get("name") if isinstance(ref, Mapping) else None
    if name is not None and not str(name).startswith(_WITHOUT_WRITE_ACCESS):
        call.hub.rights.check_write(call.caller, repo)
    elif call.caller.token is None or call.caller.token.role == "read":
        raise Forbidden
    return repo


def _revision_of(ref: object) -> str:
    """The revision that an upload is for, `main` when it does not say."""
    name = ref.get("name") if isinstance(ref, Mapping) else None
    return str(name or "main").removeprefix("refs/heads/")


def _comes_in_parts(call: Call, repo: Repository, objects: list[object], transfers: frozenset[str]) -> bool:
    """Whether the objects of a batch are sent in parts: all of them or none, since git-lfs hands all to one agent.

    Raises Refusal where one of them is too large for one piece and the client knows no other way.
    """
    one_piece = repo.record.one_piece_bytes or ONE_PIECE_BYTES
    large_from = min(call.hub.config.multipart_from_bytes, one_piece + 1)
    wanted = (named for named in map(_named, objects) if named is not None)
    large = [size_bytes for oid, size_bytes in wanted if size_bytes >= large_from and not _held(call, repo, oid)]
    if max(large, default=0) > one_piece and transfers.isdisjoint({"multipart", "xet"}):
        raise _refused(400, IN_PARTS_ONLY)
    return "multipart" in transfers and bool(large)


def _upload(call: Call, repo: Repository, offered: object, *, in_parts: bool) -> dict[str, Any]:
    """What to do with one object that a client wants to send: nothing where the repository has it already."""
    named = _named(offered)
    if named is None:
        return _object_error(offered, 422, "oid must be a sha256 and size a number of bytes")
    oid, size_bytes = named
    answer: dict[str, Any] = {"oid": oid, "size": size_bytes}
    if held := _held(call, repo, oid):
        if held.size_bytes != size_bytes:
            return _object_error(offered, 422, f"The object has {held.size_bytes} bytes")
        return answer
    part_bytes = call.hub.config.part_bytes if in_parts else None
    upload = call.hub.uploads.begin(repo, oid, size_bytes, part_bytes=part_bytes, by=call.caller.name)
    addresses = [upload_url(call.hub, upload.upload_id, oid, number + 1) for number in range(upload.part_count)]
    if part_bytes is None:
        action: dict[str, Any] = {"href": addresses[0], "header": {}}
    else:
        href = call.base_url + call.hub.signer.sign("POST", COMPLETE, {"uploadId": upload.upload_id})
        parts = {f"{number:05}": address for number, address in enumerate(addresses, start=1)}
        action = {"href": href, "header": {"chunk_size": str(part_bytes), **parts}}
    action["expires_in"] = call.hub.config.signed_urls_last_s
    verify_href = f"{call.base_url}{repo.ref.git_path}/info/lfs/objects/verify"
    header = {"Authorization": _as_basic(call)}
    return {
        **answer,
        "authenticated": True,
        "actions": {"upload": action, "verify": {"href": verify_href, "header": header}},
    }


def _download(call: Call, repo: Repository, wanted: object) -> dict[str, Any]:
    named = _named(wanted)
    if named is None:
        return _object_error(wanted, 422, "oid must be a sha256 and size a number of bytes")
    oid = named[0]
    held = _held(call, repo, oid)
    if held is None:
        return _object_error(wanted, 404, "Object does not exist")
    href = download_url(call.hub, repo.record.oid, oid, disposition(oid))
    action = {"href": href, "expires_in": call.hub.config.signed_urls_last_s}
    return {"oid": oid, "size": held.size_bytes, "authenticated": True, "actions": {"download": action}}


def _held(call: Call, repo: Repository, oid: str) -> LfsRecord | None:
    """What a repository says of an object, if it has it."""
    held = repo.record.lfs.get(oid)
    return held if held is not None and call.hub.objects.has(oid) else None


def _named(given: object) -> tuple[str, int] | None:
    """An object's sha256 and size, if both make sense."""
    if not isinstance(given, Mapping):
        return None
    oid, size = given.get("oid"), given.get("size")
    if not isinstance(oid, str) or not _OID.fullmatch(oid) or type(size) is not int or size < 0:
        return None
    return oid, size


def _object_error(given: object, code: int, message: str) -> dict[str, Any]:
    named = {key: given.get(key) for key in ("oid", "size")} if isinstance(given, Mapping) else {}
    return {**named, "error": {"code": code, "message": message}}


def _as_basic(call: Call) -> str:
    """The caller's own credentials as git-lfs must send them on: with `authenticated` it adds none of its own."""
    given = call.request.headers["Authorization"]
    scheme, _, token = given.partition(" ")
    if scheme.casefold() == "basic":
        return given
    return "Basic " + base64.b64encode(f"{call.caller.name}:{token.strip()}".encode()).decode()


def _challenged() -> Refusal:
    """401 with the challenge that makes git-lfs ask its credential helper."""
    refusal = NotLoggedIn()
    refusal.headers |= {"WWW-Authenticate": 'Basic realm="Authentication required", charset="UTF-8"'}
    refusal.headers |= {"LFS-Authenticate": 'Basic realm="Authentication required", charset="UTF-8"'}
    refusal.facts = {"message": refusal.message}
    return refusal


def _refused(status: int, text: str, **facts: object) -> Refusal:
    """A refusal in the form of git-lfs, whose JSON calls the text `message`, and in the Hub's."""
    refusal = Refusal(text, status=status, headers={"Content-Type": LFS_JSON})
    refusal.facts = {"message": text, **facts}
    return refusal


def _lfs_json(body: Mapping[str, object], *, status: int = 200) -> web.Response:
    content = json.dumps(body, separators=(",", ":")).encode()
    return web.Response(body=content, status=status, headers={"Content-Type": LFS_JSON})
