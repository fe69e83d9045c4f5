"""The Hub's JSON that we read: the fields we need, the rest kept as it came."""

from typing import Any

from pydantic import BaseModel, ConfigDict, RootModel


class HubModel(BaseModel):
    """A Hub answer: unknown fields are kept, since the Hub adds some every month."""

    model_config = ConfigDict(extra="allow", frozen=True)


class Whoami(HubModel):
    """`GET /api/whoami-v2` (contract 1.2)."""

    name: str
    type: str = "user"
    fullname: str | None = None
    orgs: list[dict[str, Any]] = []


class CreatedRepo(HubModel):
    """`POST /api/repos/create` (contract 2.1): only `url` is sure to be there."""

    url: str
    name: str | None = None


class RepoInfo(HubModel):
    """`GET /api/{types}/{id}` (contract 3.2)."""

    id: str
    private: bool | None = None


class RepoInfos(RootModel[list[RepoInfo]]):
    """`GET /api/{types}` (contract 3.1)."""
