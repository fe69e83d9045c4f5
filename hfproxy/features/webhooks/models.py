"""What the Hub tells (contract section 7, "Webhooks coming in"); whatever else it says is passed over."""

from pydantic import BaseModel, ConfigDict, Field

from hfproxy.downstream.endpoint import WireModel


class _Told(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class HubEvent(_Told):
    """`scope` is `repo`, `repo.content`, `discussion.comment` and so on; an unknown narrower one means the wider."""

    action: str = ""
    scope: str = ""


class NamedRepository(_Told):
    """The repository that it happened to."""

    type: str = ""
    name: str = ""


class NewName(_Told):
    """Where a repository was moved to."""

    name: str = ""


class HubNotice(_Told):
    """One call of a webhook."""

    event: HubEvent = HubEvent()
    repo: NamedRepository = NamedRepository()
    moved_to: NewName | None = Field(None, alias="movedTo")


class Forgotten(WireModel):
    """What is asked of the Hub anew from now on; nothing, where an event changes nothing that is kept."""

    repositories: list[str]
