"""The account as we answer it."""

from pydantic import ConfigDict, Field

from hfproxy.downstream.endpoint import WireModel


class Account(WireModel):
    """The Hub's whoami, as it came: these fields are always there, whatever else the Hub says beside them."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str = Field(examples=["alice"], description="Name of the account, and of its namespace")
    type: str = Field("user", examples=["user"], description="`user`, `org` or `app`")
