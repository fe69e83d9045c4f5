"""Warming: a repository is fetched before anybody asks, by the code that serves it.

A whole gateway is built, but for its socket. So it downloads as a gateway does, beside running ones on the same storage
(`features/files/elsewhere.py`), and leaves names, rights and answers where they look for them.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel, TypeAdapter, ValidationError
from sqlalchemy import select

from hfproxy.app import create_app
from hfproxy.downstream.access import Caller, Role
from hfproxy.errors import HubMisspoke, HubRefused, ProxyError, UpstreamError
from hfproxy.features.files.lookup import Found
from hfproxy.features.files.routes import FILES
from hfproxy.features.files.service import FileService
from hfproxy.features.metadata.asking import ask, asked
from hfproxy.features.metadata.routes import METADATA
from hfproxy.features.metadata.service import Spoken
from hfproxy.features.passthrough.routes import RELAY
from hfproxy.features.stocking.questions import DEFAULT_REVISION, info_questions, next_page, tree_questions
from hfproxy.keys import DATABASE
from hfproxy.settings import Settings
from hfproxy.storage.blobs import BlobKey, BlobProblem
from hfproxy.storage.pointer_tables import FILES as FILE_NAMES
from hfproxy.upstream.client import USER_AGENT
from hfproxy.upstream.credentials import NOBODY, Credential
from hfproxy.upstream.refs import FileRef, RepoRef
from hfproxy.upstream.routes import classify

T = TypeVar("T")
_AT_ONCE = 8
_CALLER = Caller("hfproxy cache warm", Role.ADMIN)
# A branch that moves while it is looked at is looked at again.
_LOOKS = 3
_MOST_NAMES_TRIED = 20
# What was kept for an offline gateway must not be taken for too old by a command beside it.
_FOR_EVER = timedelta(days=36_500)


class _Info(BaseModel):
    sha: str


class _Entry(BaseModel):
    type: str
    path: str
    size: int = 0


_TREE = TypeAdapter(list[_Entry])


@dataclass(frozen=True, slots=True)
class Planned:
    """The files of one commit that are wanted, by path and size."""

    repo: RepoRef
    commit_hash: str
    files: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Warmed:
    """What came of one file: kept already or fetched now, or why it is not kept."""

    path: str
    had: bool
    problem: str | None = None


class Warmer:
    """Fetches on behalf of the gateway's own token."""

    def __init__(self, app: web.Application, credential: Credential) -> None:
        self._app, self._credential = app, credential
        self._files: FileService = app[FILES]

    async def plan(
        self, repo: RepoRef, revision: str | None, *, include: Sequence[str] = (), exclude: Sequence[str] = ()
    ) -> Planned:
        """Asks what clients will ask, and keeps it; tells which files that means. Raises UpstreamError."""
        wanted = revision or DEFAULT_REVISION
        for _ in range(_LOOKS):
            commit_hash = await self._commit(repo, wanted)
            revisions = (wanted, commit_hash)
            for target in info_questions(repo, revisions):
                await self._say(target)
            trees = [await self._tree(target) for target in tree_questions(repo, (commit_hash, wanted))]
            files = [(entry.path, entry.size) for entry in trees[0] if entry.type == "file"]
            if await self._points_to(repo, wanted, files) in {None, commit_hash}:
                chosen = tuple(file for file in files if matches(file[0], include, exclude))
                return Planned(repo, commit_hash, chosen)
        raise HubMisspoke(f"{repo} changes faster than it can be read", asked=f"GET {repo.api_path}")

    async def fetch(self, planned: Planned, *, progressed: Callable[[int], None]) -> AsyncIterator[Warmed]:
        """Fetches the files, several at once; tells of each as it is done, and of bytes as they come."""
        places = asyncio.Semaphore(_AT_ONCE)

        async def one(path: str, size_bytes: int) -> Warmed:
            async with places:
                return await self._warm(FileRef(planned.repo, planned.commit_hash, path), size_bytes, progressed)

        tasks = [asyncio.create_task(one(*file)) for file in planned.files]
        try:
            for done in asyncio.as_completed(tasks):
                yield await done
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def fetch_again(self, key: BlobKey) -> str | None:
        """Fetches bytes by any name they are known by; what kept them from being kept, None if they are."""
        named = select(FILE_NAMES).where(FILE_NAMES.c.etag == key.digest).limit(_MOST_NAMES_TRIED)
        problem = "no file of this hash is known"
        for row in await self._app[DATABASE].read(lambda connection: connection.execute(named).all()):
            ref = FileRef(RepoRef.parse_printed(row.repo), row.commit_hash, row.path)
            warmed = await self._warm(ref, row.size_bytes, lambda _: None)
            if warmed.problem is None:
                return None
            problem = f"{ref.repo} {ref.path}: {warmed.problem}"
        return problem

    async def _warm(self, ref: FileRef, size_bytes: int, progressed: Callable[[int], None]) -> Warmed:
        told = 0
        try:
            found = await self._find(ref)
            if await self._files.keeps(found):
                progressed(size_bytes)
                return Warmed(ref.path, had=True)
            if self._files.is_small(found):
                await self._files.content(found)
            else:
                size = found.entry.size_bytes
                async with aclosing(self._files.pieces(found, 0, size, whole=True)) as pieces:
                    async for piece in pieces:
                        told += len(piece)
                        progressed(len(piece))
            progressed(size_bytes - told)
            if await self._arrived(found):
                return Warmed(ref.path, had=False)
            return Warmed(ref.path, had=False, problem="there is no room for it in the store, or the store is broken")
        except (ProxyError, BlobProblem) as error:
            return Warmed(ref.path, had=False, problem=str(error))

    async def _arrived(self, found: Found) -> bool:
        """Whether it is kept; what was read to its last byte may still be getting its name."""
        for wait_s in (0.0, 0.05, 0.2, 1.0, 3.0):
            await asyncio.sleep(wait_s)
            if await self._files.keeps(found):
                return True
        return False

    async def _find(self, ref: FileRef) -> Found:
        found = await self._files.lookup.find(ref, self._credential, [("User-Agent", USER_AGENT)])
        if "ttl=-1" in found.status:
            raise UpstreamError("the Hub cannot be asked now")
        return found

    async def _points_to(self, repo: RepoRef, revision: str, files: Sequence[tuple[str, int]]) -> str | None:
        """Keeps where a revision points, by asking for one of its files; None if it has none to ask for."""
        for path, _ in files:
            try:
                return (await self._find(FileRef(repo, revision, path))).entry.commit_hash
            except HubRefused as error:
                if error.hub_code != "EntryNotFound":
                    raise
        return None

    async def _commit(self, repo: RepoRef, revision: str) -> str:
        [target, *_] = info_questions(repo, (revision,))
        spoken = await self._say(target)
        return _read(_Info.model_validate_json, spoken.body, target).sha

    async def _tree(self, target: str) -> list[_Entry]:
        entries: list[_Entry] = []
        following: str | None = target
        while following is not None:
            spoken, page = await self._say(following), following
            entries += _read(_TREE.validate_json, spoken.body, page)
            following = next_page(spoken.headers)
        return entries

    async def _say(self, target: str) -> Spoken:
        """An answer of the Hub's, now also kept. Raises UpstreamError."""
        route = classify("GET", target)
        headers = [("User-Agent", USER_AGENT), ("Accept", "*/*")]
        key, question = asked(
            "GET", target, route, headers=headers, body=b"", credential=self._credential, caller=_CALLER
        )
        spoken, status = await self._app[METADATA].answer(
            key, self._credential, lambda: ask(self._app[RELAY], question)
        )
        if "ttl=-1" in status:
            raise UpstreamError("the Hub cannot be asked now")
        if spoken.status != 200:
            told = dict(spoken.headers)
            raise HubRefused(
                _words(spoken, told), status=spoken.status, hub_code=told.get("X-Error-Code"), headers=told
            )
        return spoken


def matches(path: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    """Whether a file is wanted; patterns are read as `filter_repo_objects` of `huggingface_hub` reads them."""

    def one_of(patterns: Sequence[str]) -> bool:
        return any(fnmatchcase(path, pattern + "*" if pattern.endswith("/") else pattern) for pattern in patterns)

    return (not include or one_of(include)) and not one_of(exclude)


@asynccontextmanager
async def warmer(settings: Settings) -> AsyncIterator[Warmer]:
    """A gateway without a socket, on the storage of the settings, that asks the Hub whatever they say of being offline.

    Raises CannotStart.
    """
    # Nothing is taken for fresh, so that all is asked and said anew; nothing is forgotten before it is.
    anew = {"offline": False, "fresh_for": timedelta(0), "stale_for": _FOR_EVER, "names_for": _FOR_EVER}
    files = settings.files.model_copy(update=anew)
    server = settings.server.model_copy(update={"host": "127.0.0.1"})
    app = create_app(settings.model_copy(update={"files": files, "server": server}))
    runner = web.AppRunner(app)
    token = settings.upstream.token
    credential = Credential("gateway", token.get_secret_value()) if token is not None else NOBODY
    try:
        await runner.setup()
        yield Warmer(app, credential)
    finally:
        await runner.cleanup()


def _read(parse: Callable[[bytes], T], body: bytes, target: str) -> T:
    try:
        return parse(body)
    except ValidationError:
        raise HubMisspoke("unexpected JSON", asked=f"GET {target}") from None


def _words(spoken: Spoken, headers: dict[str, str]) -> str:
    if "X-Error-Message" in headers:
        return headers["X-Error-Message"]
    try:
        return str(json.loads(spoken.body)["error"])
    except (ValueError, KeyError, TypeError):
        return f"the Hub answered {spoken.status}"
