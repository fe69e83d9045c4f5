"""Git's two services over one repository: what git asks over HTTP, answered by dulwich.

Source: git's documentation, gitprotocol-http and gitprotocol-pack. Protocol version 2 is not spoken; clients that offer
it are answered in version 0, as the protocol has it.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Final, cast

from dulwich.errors import GitProtocolError, MissingCommitError, ObjectFormatException
from dulwich.objects import Blob, Commit, ObjectID, Tree
from dulwich.protocol import CAPABILITY_FILTER, ReceivableProtocol
from dulwich.refs import Ref
from dulwich.server import Backend, BackendRepo, ReceivePackHandler, UploadPackHandler

from .history import MAIN, History
from .pointers import LONGEST_POINTER_BYTES, Pointer
from .upload_modes import LARGEST_REGULAR_BYTES

FETCH: Final = "git-upload-pack"
PUSH: Final = "git-receive-pack"
_NOTHING: Final = b"0" * 40
_PLACES: Final = (b"refs/heads/", b"refs/tags/", b"refs/pr/")

HasObject = Callable[[str, int], bool]
Write = Callable[[bytes], int | None]
_PATH: Final = "/"
_NONSENSE: Final = (ValueError, KeyError, IndexError, AssertionError, EOFError, zlib.error)


class Fetch(UploadPackHandler):
    """Gives whole histories: dulwich can leave files out, but then refuses them to a git that asks for one by id."""

    def capabilities(self) -> list[bytes]:
        return [each for each in super().capabilities() if each != CAPABILITY_FILTER]

    def set_client_capabilities(self, caps: Iterable[bytes]) -> None:
        """git names it also where it is not offered, and expects a whole answer then (git `fetch-pack.c`)."""
        super().set_client_capabilities([each for each in caps if each != CAPABILITY_FILTER])


class Push(ReceivePackHandler):
    """Takes what git sends, as far as the Hub would: `refused` looks at each ref before it moves."""

    has_object: HasObject
    known: frozenset[ObjectID]
    moved: list[str]

    def _on_update(self, ref_name: Ref, old_sha: ObjectID, new_sha: ObjectID) -> bytes | None:
        why = self._refused(ref_name, new_sha)
        if why is None:
            self.moved.append(ref_name.decode())
        return why

    def _refused(self, ref_name: bytes, new_sha: ObjectID) -> bytes | None:
        if not ref_name.startswith(_PLACES):
            return b"only branches and tags can be pushed"
        if new_sha == _NOTHING:
            return b"the main branch cannot be deleted" if ref_name == MAIN.encode() else None
        if ref_name.startswith(b"refs/pr/") and Ref(ref_name) not in self.repo.get_refs():
            return b"open the pull request first"
        return self._refused_content(new_sha)

    def _refused_content(self, commit: ObjectID) -> bytes | None:
        """Why the Hub's hook does not want what is new in a commit's history (contract 6.6)."""
        store = self.repo.object_store
        stack, seen = [commit], set(self.known)
        while stack:
            if (oid := stack.pop()) in seen:
                continue
            seen.add(oid)
            thing = store[oid]
            if isinstance(thing, Commit):
                stack += [thing.tree, *thing.parents]
            elif isinstance(thing, Tree):
                stack += [item.sha for item in thing.iteritems() if item.sha in store]
            elif isinstance(thing, Blob) and (why := self._refused_blob(thing)):
                return why
        return None

    def _refused_blob(self, blob: Blob) -> bytes | None:
        size_bytes = blob.raw_length()
        if size_bytes > LARGEST_REGULAR_BYTES:
            return b"files larger than 10 MiB must be stored with git-lfs"
        pointer = Pointer.parse(blob.as_raw_string()) if size_bytes <= LONGEST_POINTER_BYTES else None
        if pointer is not None and not self.has_object(pointer.oid, pointer.size_bytes):
            return f"LFS pointer pointed to a file that does not exist: {pointer.oid}".encode()
        return None


class NotGit(Exception):
    """What came does not follow git's protocol."""


@contextmanager
def _understood() -> Iterator[None]:
    """dulwich has no one error for a client that speaks nonsense."""
    try:
        yield
    except (GitProtocolError, ObjectFormatException, MissingCommitError, *_NONSENSE) as error:
        raise NotGit(f"{type(error).__name__}: {error}"[:200]) from error


class _OneRepository(Backend):
    def __init__(self, history: History) -> None:
        self._git = history.git

    def open_repository(self, path: str | bytes) -> BackendRepo:
        return cast("BackendRepo", self._git)  # dulwich's own repositories do not say that they are one


def advertise(history: History, service: str, write: Write) -> None:
    """Write what a service has to offer: the refs and what it understands."""
    protocol = ReceivableProtocol(lambda _size: b"", write)
    kind = Fetch if service == FETCH else ReceivePackHandler
    handler = kind(_OneRepository(history), [_PATH], protocol, stateless_rpc=True, advertise_refs=True)
    protocol.write_pkt_line(f"# service={service}\n".encode())
    protocol.write_pkt_line(None)
    handler.handle()


def fetch(history: History, asked: IO[bytes], write: Write) -> None:
    """Answer a fetch: `asked` is the request's whole body. Raises NotGit."""
    protocol = ReceivableProtocol(asked.read, write)
    with _understood():
        Fetch(_OneRepository(history), [_PATH], protocol, stateless_rpc=True).handle()


def push(history: History, asked: IO[bytes], write: Write, has_object: HasObject) -> list[str]:
    """Take a push; the full names of the refs it moved. Raises NotGit."""
    protocol = ReceivableProtocol(asked.read, write)
    handler = Push(_OneRepository(history), [_PATH], protocol, stateless_rpc=True)
    handler.has_object = has_object
    handler.known = frozenset(history.git.refs.as_dict().values())
    handler.moved = []
    with _understood():
        handler.handle()
    return handler.moved
