"""What the gateway says about itself."""

from typing import Any, Literal

from pydantic import ConfigDict, Field

from hfproxy.downstream.endpoint import WireModel


class Alive(WireModel):
    """The process answers."""

    status: Literal["alive"]


class HubState(WireModel):
    """How the Hub was last found. It does not decide whether the gateway is ready."""

    state: Literal["reachable", "failing", "unknown"] = Field(
        description="`failing`: the last call ended with a 5xx or without an answer; `unknown`: none has ended yet"
    )
    error: str | None = Field(description="What the last call ended with", examples=["HubUnreachable"])
    seconds_ago: float | None = Field(ge=0, description="When that was")


class Ready(WireModel):
    """The gateway can do its part."""

    status: Literal["ready", "degraded"] = Field(
        description="`degraded`: something of its own does not work; reads are right but slower, or writes are refused"
    )
    checks: dict[str, str] = Field(
        description="What the gateway works with: `ok`, or what is the matter", examples=[{"database": "ok"}]
    )
    upstream: HubState


class ApiDescription(WireModel):
    """An OpenAPI document."""

    model_config = ConfigDict(extra="allow", frozen=True)

    openapi: str = Field(examples=["3.1.0"])
    info: dict[str, Any]
    paths: dict[str, Any]
