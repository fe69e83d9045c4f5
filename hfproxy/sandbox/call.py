"""One request as handlers see it: who asks, for what, and the repository it names."""

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl, quote

from aiohttp import web

from hfproxy.upstream.refs import RepoType

from .callers import Caller
from .hub import Hub
from .record import Asked
from .refusals import BadRequest, Moved, NotLoggedIn
from .repository import Repository
from .routing import Match, split

TRUE = frozenset({"true", "1", "True", "on"})


def first_of_each(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a body where none is a list: a form's have one value each."""
    return {name: value[0] if isinstance(value, list) and value else value for name, value in fields.items()}


class Call:
    """A request that found its handler. Bodies are read through it, so that the record has them."""

    def __init__(self, request: web.Request, hub: Hub, caller: Caller, match: Match, asked: Asked) -> None:
        self.request = request
        self.hub = hub
        self.caller = caller
        self.params = match.params
        self.match = match
        self.asked = asked
        self.raw_path, _, self.raw_query = request.raw_path.partition("?")
        self.query = parse_qsl(self.raw_query, keep_blank_values=True)
        self.follows_names = False
        """Whether a renamed repository is answered under its old name, in place of a redirect."""

    # Where

    @property
    def base_url(self) -> str:
        """What absolute URLs in the answer begin with: the public URL, or the address that was asked."""
        return self.hub.config.public_url or f"{self.request.scheme}://{self.request.host}"

    @property
    def repo_type(self) -> RepoType:
        """The type that the path names."""
        assert self.match.repo_type is not None
        return self.match.repo_type

    def value(self, name: str) -> str | None:
        """The first value of a query parameter."""
        return next((value for key, value in self.query if key == name), None)

    def values(self, name: str) -> list[str]:
        """All values of a query parameter, also under `name[]`, as JavaScript clients repeat one."""
        return [value for key, value in self.query if key in {name, f"{name}[]"}]

    def flag(self, name: str) -> bool:
        return self.value(name) in TRUE

    # The repository

    def visible_repo(self) -> Repository:
        """The repository of the path, if the caller may know of it. Raises Moved, NotLoggedIn."""
        assert self.match.repo_id is not None
        renamed = self.hub.repos.renamed(self.repo_type, self.match.repo_id)
        if renamed is not None and self.hub.rights.sees(self.caller, renamed):
            if self.follows_names:
                return renamed
            raise Moved(self._path_under(renamed))
        return self.hub.rights.check_visible(self.caller, self.hub.repos.find(self.repo_type, self.match.repo_id))

    def readable_repo(self) -> Repository:
        """The same, if the caller may read its files. Raises GateClosed too."""
        repo = self.visible_repo()
        self.hub.rights.check_gate(self.caller, repo)
        return repo

    def writable_repo(self) -> Repository:
        """The same, if the caller may change it. Raises Forbidden too."""
        if self.caller.account is None:
            raise NotLoggedIn
        repo = self.visible_repo()
        self.hub.rights.check_write(self.caller, repo)
        return repo

    def named_repo(self, repo_type: Any, repo_id: str) -> Repository:
        """A repository that a body names, if the caller may know of it; a model when it says no type."""
        try:
            found = self.hub.repos.find(RepoType(repo_type or "model"), repo_id)
        except ValueError:
            raise BadRequest(f'"type" must be one of [{", ".join(RepoType)}]') from None
        return self.hub.rights.check_visible(self.caller, found)

    # The body

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes."""
        async for chunk in self.request.content.iter_any():
            self.asked.note_body(chunk)
            yield chunk

    async def body(self, *, at_most_bytes: int = 64 * 1024 * 1024) -> bytes:
        """The whole body. Raises BadRequest for one that is too long."""
        whole = bytearray()
        async for chunk in self.chunks():
            whole += chunk
            if len(whole) > at_most_bytes:
                raise BadRequest("Payload too large", status=413)
        return bytes(whole)

    async def json(self) -> dict[str, Any]:
        """The body as a JSON object; none at all is an empty one. Raises BadRequest."""
        content = await self.body()
        try:
            parsed = json.loads(content) if content.strip() else {}
        except ValueError:
            raise BadRequest("Invalid JSON") from None
        if not isinstance(parsed, dict):
            raise BadRequest("The body must be a JSON object")
        return parsed

    async def form_or_json(self) -> dict[str, Any]:
        """The body's fields, each a list when it came as a form, which repeats its keys."""
        if self.request.content_type == "application/x-www-form-urlencoded":
            fields: dict[str, Any] = {}
            for key, value in parse_qsl((await self.body()).decode(errors="replace"), keep_blank_values=True):
                fields.setdefault(key.removesuffix("[]"), []).append(value)
            return fields
        return await self.json()

    def _path_under(self, repo: Repository) -> str:
        start, stop = self.match.id_span
        segments = list(split(self.raw_path))
        ending = ".git" if segments[stop - 1].endswith(".git") else ""
        segments[start:stop] = [quote(part, safe="") for part in f"{repo.repo_id}{ending}".split("/")]
        return "/" + "/".join(segments) + (f"?{self.raw_query}" if self.raw_query else "")
