"""The repository calls, as the Hub wants them."""

from typing import Any

from hfproxy.downstream.access import Caller
from hfproxy.errors import HubMisspoke, HubRefused, StorageUnavailable, UpstreamError
from hfproxy.features.access.accounts import HubAccounts
from hfproxy.features.access.patterns import covers
from hfproxy.features.audit.service import AuditTrail
from hfproxy.features.repos.models import (
    ListedRepo,
    Repo,
    RepoChange,
    RepoCreation,
    RepoDeletion,
    RepoList,
    RepoQuery,
)
from hfproxy.features.repos.permission import RepoPermission
from hfproxy.upstream.client import HubClient
from hfproxy.upstream.credentials import Credential
from hfproxy.upstream.refs import BadReference, RepoRef, RepoType
from hfproxy.upstream.wire import CreatedRepo, RepoInfo, RepoInfos, Whoami

# The fields of a creation that the Hub takes as they are, under the names of our own model.
_HANDED_ON = {
    "sdk",
    "template",
    "hardware",
    "sleep_time_seconds",
    "secrets",
    "variables",
    "license",
    "resource_group_id",
    "region",
}
# What of a creation the audit trail keeps: settings that are no secrets.
_AUDITED = {"private", "visibility", "gated", "sdk", "hardware", "license", "resource_group_id", "region"}


class RepoService:
    """Lists, creates, changes and deletes repositories; every write is kept in the audit trail and sent once."""

    def __init__(self, *, hub: HubClient, permission: RepoPermission, trail: AuditTrail, accounts: HubAccounts) -> None:
        self._hub, self._permission, self._trail, self._accounts = hub, permission, trail, accounts

    async def listed(self, wanted: RepoQuery, *, caller: Caller, credential: Credential) -> RepoList:
        """One owner's repositories of one kind, as far as caller and credential may see them. Raises UpstreamError."""
        owner = wanted.owner or await self._account(credential)
        query = [("author", owner), ("limit", str(wanted.limit)), ("sort", "lastModified"), ("direction", "-1")]
        if wanted.search is not None:
            query.append(("search", wanted.search))
        answer = await self._hub.call("GET", f"/api/{wanted.type.api_segment}", credential=credential, query=query)
        infos = answer.read_as(RepoInfos).root[: wanted.limit]
        seen = [(ref, info) for info in infos if covers(caller.repos, ref := _ref(wanted.type, info.id))]
        repos = [
            ListedRepo(id=ref.repo_id, type=wanted.type, url=self._url(ref), private=info.private) for ref, info in seen
        ]
        return RepoList(owner=owner, repos=repos)

    async def create(self, wanted: RepoCreation, *, caller: Caller, credential: Credential) -> Repo:
        """The new repository, or the one that is there already where `exist_ok` says so.

        A gate is the Hub's second step: if it fails, the error's `created` says that the repository is there, ungated.
        Raises CallerNotAllowed, UpstreamError, StorageUnavailable.
        """
        ref, asked = wanted.ref, wanted.model_dump(include=_AUDITED, exclude_none=True)
        try:
            async with self._trail.writing(
                "repo.create", caller=caller, credential=credential, repo=ref, asked=asked
            ) as told:
                ref = await self._permission.for_new(caller, ref, credential=credential)
                answer = await self._hub.call(
                    "POST", "/api/repos/create", credential=credential, body=_creation_body(wanted, ref)
                )
                said = answer.json()
                created = answer.read_as(CreatedRepo)
                told.made = ref = self._ref_of(created, ref)
        except HubRefused as error:
            url = error.facts.get("url")
            if not (wanted.exist_ok and error.status == 409 and isinstance(url, str)):
                raise
            said, created = {}, CreatedRepo(url=url)
            ref = self._ref_of(created, ref)
        if wanted.gated is not None:
            await self._gate(ref, wanted, caller, credential, created.url)
        private = wanted.private if said else None
        if private is None:
            private = await self._private(ref, credential)
        return Repo.model_validate(
            {**_other_words(said), "id": ref.repo_id, "type": ref.repo_type, "url": created.url, "private": private}
        )

    async def change(self, wanted: RepoChange, *, caller: Caller, credential: Credential) -> Repo:
        """The repository after its settings, then its name, were changed.

        Raises CallerNotAllowed, UpstreamError, StorageUnavailable.
        """
        ref = wanted.ref
        moved = RepoRef.parse(ref.repo_type, wanted.move) if wanted.move is not None else None
        said: dict[str, Any] = {}
        if settings := wanted.model_dump(include={"private", "visibility", "gated"}, exclude_none=True):
            async with self._trail.writing(
                "repo.settings", caller=caller, credential=credential, repo=ref, asked=settings
            ):
                if moved is not None:
                    await self._permission.for_new(caller, moved, credential=credential)
                await self._permission.for_existing(caller, ref, credential=credential)
                answer = await self._hub.call("PUT", f"{ref.api_path}/settings", credential=credential, body=settings)
                said = answer.confirmation()
        if moved is not None:
            async with self._trail.writing("repo.move", caller=caller, credential=credential, repo=ref, new_repo=moved):
                await self._permission.for_new(caller, moved, credential=credential)
                await self._permission.for_existing(caller, ref, credential=credential)
                body = {"fromRepo": ref.repo_id, "toRepo": moved.repo_id, "type": ref.repo_type.value}
                answer = await self._hub.call("POST", "/api/repos/move", credential=credential, body=body)
                answer.confirmation()
            ref = moved
        private = wanted.private
        if private is None:
            private = await self._private(ref, credential)
        return Repo.model_validate(
            {**_other_words(said), "id": ref.repo_id, "type": ref.repo_type, "url": self._url(ref), "private": private}
        )

    async def delete(self, wanted: RepoDeletion, *, caller: Caller, credential: Credential) -> Repo:
        """The repository that is no more. Raises CallerNotAllowed, UpstreamError, StorageUnavailable."""
        ref = await self._accounts.owning(wanted.ref, credential)
        async with self._trail.writing("repo.delete", caller=caller, credential=credential, repo=ref):
            ref = await self._permission.for_existing(caller, ref, credential=credential)
            body = {"name": ref.name, "organization": ref.namespace, "type": ref.repo_type.value}
            answer = await self._hub.call("DELETE", "/api/repos/delete", credential=credential, body=body)
            answer.confirmation()
        return Repo.model_validate({"id": ref.repo_id, "type": ref.repo_type, "url": self._url(ref), "private": None})

    async def _account(self, credential: Credential) -> str:
        answer = await self._hub.call("GET", "/api/whoami-v2", credential=credential)
        return answer.read_as(Whoami).name

    async def _gate(self, ref: RepoRef, wanted: RepoCreation, caller: Caller, credential: Credential, url: str) -> None:
        settings = {"gated": wanted.gated}
        try:
            async with self._trail.writing(
                "repo.settings", caller=caller, credential=credential, repo=ref, asked=settings
            ):
                answer = await self._hub.call("PUT", f"{ref.api_path}/settings", credential=credential, body=settings)
                answer.confirmation()
        except (UpstreamError, StorageUnavailable) as error:
            error.facts |= {"created": True, "url": url}
            raise

    async def _private(self, ref: RepoRef, credential: Credential) -> bool | None:
        """Whether a repository is private, where it was the Hub who decided; None if the Hub would not say."""
        try:
            answer = await self._hub.call("GET", ref.api_path, credential=credential)
            return answer.read_as(RepoInfo).private
        except UpstreamError:
            return None  # the write is done: an answer with one fact less is truer than an error

    def _url(self, ref: RepoRef) -> str:
        return self._hub.endpoint + ref.web_path

    def _ref_of(self, created: CreatedRepo, asked: RepoRef) -> RepoRef:
        """The id that the Hub gave: it knows the namespace where the caller did not name one."""
        if asked.namespace is not None and created.name is None:
            return asked
        path = created.url.removesuffix("/").split("/")
        try:
            return RepoRef.parse(asked.repo_type, created.name or "/".join(path[-2:]))
        except BadReference:
            raise HubMisspoke(
                f"a new repository with the address {created.url!r}", asked="POST /api/repos/create"
            ) from None


def _ref(repo_type: RepoType, repo_id: str) -> RepoRef:
    try:
        return RepoRef.parse(repo_type, repo_id)
    except BadReference as error:
        raise HubMisspoke(f"a list with the id {repo_id!r}: {error}", asked=f"GET /api/{repo_type}s") from None


def _creation_body(wanted: RepoCreation, ref: RepoRef) -> dict[str, Any]:
    """As `huggingface_hub` 2.4 sends it: `type` is left to the Hub's default only by clients that do not say it."""
    body: dict[str, Any] = {"name": ref.name, "organization": ref.namespace, "type": ref.repo_type.value}
    if wanted.private is not None:
        body["private"] = wanted.private
    if wanted.visibility is not None:
        body["visibility"] = wanted.visibility
    return body | wanted.model_dump(include=_HANDED_ON, exclude_none=True, by_alias=True)


def _other_words(said: dict[str, Any]) -> dict[str, Any]:
    """What the Hub said beyond the four fields that we answer ourselves; its `id` is a number of its own database."""
    hub_id = {"_id": said["id"]} if isinstance(said.get("id"), str) else {}
    return {
        name: value for name, value in said.items() if name not in {"id", "type", "url", "private", "name"}
    } | hub_id
