"""The fields of the repository calls."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from hfproxy.downstream.endpoint import WireModel, wrong_field
from hfproxy.features.repos import schema
from hfproxy.upstream import ref_schema
from hfproxy.upstream.refs import RepoRef, RepoType, check_name


def _repo_type(value: object) -> object:
    """The old service's clients also say `spaces`; the Hub knows the singular only."""
    return value.removesuffix("s") if isinstance(value, str) else value


def _check_repo_id(repo_id: str) -> str:
    RepoRef.parse(RepoType.MODEL, repo_id)
    return repo_id


def _check_full_id(repo_id: str) -> str:
    if "/" not in repo_id:
        raise ValueError("must be 'owner/name'")
    return _check_repo_id(repo_id)


def _not_zero(value: object) -> object:
    """Python takes 0 for false; JSON does not."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError("must be 'auto', 'manual' or false")
    return value


def _is_whole(value: object) -> bool:
    return isinstance(value, float) and value.is_integer()


def _named(repo_type: RepoType, name: str, organization: str | None) -> RepoRef:
    if organization and "/" not in name:
        # Each is a name of its own; whether both together are too long is for the Hub to say, since the API's
        # description cannot say it.
        return RepoRef(repo_type, organization, name)
    return RepoRef.parse(repo_type, name)


Type = Annotated[
    RepoType,
    BeforeValidator(
        _repo_type,
        json_schema_input_type=Literal[
            "model", "dataset", "space", "kernel", "models", "datasets", "spaces", "kernels"
        ],
    ),
    Field(description="Kind of repository, in the singular or the plural"),
]
RepoName = Annotated[
    str,
    AfterValidator(_check_repo_id),
    Field(
        min_length=1,
        max_length=96,
        examples=["demo", "acme/demo"],
        description="Name, or owner and name",
        json_schema_extra=ref_schema.REPO_NAME,
    ),
]
FullRepoName = Annotated[
    str,
    AfterValidator(_check_full_id),
    Field(
        min_length=3,
        max_length=96,
        examples=["acme/demo"],
        description="Owner and name",
        json_schema_extra=ref_schema.FULL_REPO_NAME,
    ),
]
Owner = Annotated[
    str,
    AfterValidator(lambda text: check_name(text, what="owner")),
    Field(min_length=1, max_length=96, json_schema_extra=ref_schema.OWNER),
]
# JSON knows no integers but those among its numbers: 3.0 is one.
SleepTime = Annotated[int, Field(ge=-1), BeforeValidator(lambda value: int(value) if _is_whole(value) else value)]
Visibility = Literal["public", "private", "protected"]
Gate = Annotated[Literal["auto", "manual", False], BeforeValidator(_not_zero)]


_ONLY_SPACES_HAVE = ("sdk", "template", "hardware", "sleep_time_seconds", "secrets", "variables")


class Pair(WireModel):
    """A secret or a variable of a Space."""

    key: str = Field(
        pattern="^[A-Za-z_][A-Za-z0-9_]*$", max_length=255, description="A name that an environment variable may have"
    )
    value: str
    description: str | None = None


class NamedRepo(WireModel):
    """A repository by its name, with its owner in it, beside it, or left to the token's account."""

    type: Type
    name: RepoName
    organization: Owner | None = Field(
        None, description="Owner, where `name` does not say it; else the token's own account"
    )

    @property
    def ref(self) -> RepoRef:
        return _named(self.type, self.name, self.organization)

    @model_validator(mode="after")
    def _has_one_owner(self) -> Self:
        if self.organization and "/" in self.name and self.name.partition("/")[0] != self.organization:
            raise wrong_field("organization", "is not the owner that 'name' says")
        return self


class RepoCreation(NamedRepo):
    """What to create. Without `private` and `visibility` the account's own default on the Hub decides."""

    model_config = ConfigDict(json_schema_extra=schema.CREATION)

    private: bool | None = Field(None, description="Whether only its owners see it")
    visibility: Visibility | None = Field(None, description="In place of `private`; `protected` is for Spaces")
    gated: Gate | None = Field(
        None, description="Whether readers must ask first: `auto` lets all in, `manual` waits for a yes"
    )
    exist_ok: bool = Field(False, description="Whether a repository that is there already is as good as a new one")
    sdk: Literal["gradio", "streamlit", "docker", "static"] | None = Field(None, description="What a Space runs on")
    template: str | None = Field(None, description="Template that a Space starts from")
    hardware: str | None = Field(None, description="Hardware of a Space")
    sleep_time_seconds: SleepTime | None = Field(
        None, alias="sleepTimeSeconds", description="When an idle Space sleeps; -1: never"
    )
    secrets: list[Pair] | None = Field(None, description="Secrets of a Space")
    variables: list[Pair] | None = Field(None, description="Variables of a Space")
    license: str | None = Field(None, description="Licence that the card of the new repository names")
    resource_group_id: str | None = Field(
        None,
        alias="resourceGroupId",
        pattern="^[0-9a-f]{24}$",
        description="Resource group of an enterprise organisation",
    )
    region: Literal["us", "eu"] | None = Field(None, description="Where the Hub keeps it")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.private is not None and self.visibility is not None:
            raise wrong_field("visibility", "send this or 'private', not both")
        if self.type is RepoType.SPACE and self.sdk is None:
            raise wrong_field("sdk", "a space needs one: gradio, streamlit, docker or static")
        if self.type is not RepoType.SPACE:
            for name in _ONLY_SPACES_HAVE:
                if getattr(self, name) is not None:
                    raise wrong_field(name, "only spaces have one")
            if self.visibility == "protected":
                raise wrong_field("visibility", "only spaces can be protected")
        return self


class RepoChange(WireModel):
    """What to change: visibility, gate or name; at least one of them."""

    model_config = ConfigDict(json_schema_extra=schema.CHANGE)

    type: Type
    namespace: FullRepoName
    private: bool | None = Field(None, description="Whether only its owners see it")
    visibility: Visibility | None = Field(None, description="In place of `private`; `protected` is for Spaces")
    gated: Gate | None = Field(None, description="Whether readers must ask first; false opens it")
    move: FullRepoName | None = Field(None, description="New owner and name; the old name redirects afterwards")

    @property
    def ref(self) -> RepoRef:
        return RepoRef.parse(self.type, self.namespace)

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.private is not None and self.visibility is not None:
            raise wrong_field("visibility", "send this or 'private', not both")
        if all(value is None for value in (self.private, self.visibility, self.gated, self.move)):
            raise wrong_field("private", "say what to change: this, 'visibility', 'gated' or 'move'")
        return self


class RepoDeletion(NamedRepo):
    """What to delete."""

    model_config = ConfigDict(json_schema_extra=schema.DELETION)


class Repo(WireModel):
    """A repository as the call left it, and whatever else the Hub said."""

    model_config = ConfigDict(extra="allow", frozen=True)

    id: str = Field(examples=["acme/demo"], description="Owner and name")
    type: RepoType
    url: str = Field(examples=["https://huggingface.co/acme/demo"], description="Its page on the Hub")
    private: bool | None = Field(description="Whether only its owners see it; null where the Hub did not say")


class RepoQuery(WireModel):
    """Whose repositories of which kind to list."""

    type: Type = RepoType.MODEL
    owner: Owner | None = Field(None, description="Whose; without it, those of the account the gateway acts as")
    search: str | None = Field(None, min_length=1, max_length=96, description="What their names contain")
    limit: int = Field(50, ge=1, le=200, description="Most repositories to list")


class ListedRepo(WireModel):
    """A repository in a list."""

    id: str = Field(examples=["acme/demo"], description="Owner and name")
    type: RepoType
    url: str = Field(examples=["https://huggingface.co/acme/demo"], description="Its page on the Hub")
    private: bool | None = Field(description="Whether only its owners see it; null where the Hub did not say")


class RepoList(WireModel):
    """Repositories, the ones changed last first."""

    owner: str = Field(examples=["alice"])
    repos: list[ListedRepo]
