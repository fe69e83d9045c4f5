"""The policy as it is asked for and answered."""

import re
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, ByteSize, Field, WithJsonSchema
from pydantic.config import JsonDict

from hfproxy.downstream.endpoint import WireModel
from hfproxy.features.policy.models import Action, RoleName
from hfproxy.upstream import ref_schema
from hfproxy.upstream.refs import BUCKETS

_BUCKET: Final[JsonDict] = {"type": "string", "pattern": f"^{BUCKETS}", "maxLength": 200}  # its name is not looked at
_EMPTY: Final[JsonDict] = {"type": "string", "maxLength": 0}
_REPO: Final[JsonDict] = {"anyOf": [*ref_schema.PRINTED_REPO["anyOf"], _BUCKET, _EMPTY]}

_SIZE: Final = r"^[0-9]{1,18}(\.[0-9]{1,6})?(([kKMGTPE]i?)?B|[kKMGTPE])?$"


def _is_size(value: object) -> object:
    """Passes what `_SIZE` says: pydantic reads more, but cannot say so in its schema."""
    if isinstance(value, str) and not re.match(_SIZE, value, re.ASCII):
        raise ValueError("must be a number of bytes, or a number with its unit, such as 5GiB")
    return value


Size = Annotated[
    ByteSize,
    BeforeValidator(_is_size),
    WithJsonSchema({"type": "string", "pattern": _SIZE}),
]


class PolicyState(WireModel):
    """What holds now."""

    file: str | None = Field(description="The file of rules; null where there is none")
    loaded_at: datetime | None = Field(description="When the rules that hold were read")
    problems: list[str] = Field(description="What is wrong with the file as it is now, while older rules hold")
    rules: list[dict[str, Any]] = Field(description="The rules in their order; the last one is the end of the file")


class PolicyQuestion(WireModel):
    """A call that somebody could make."""

    caller: str = Field("anonymous", max_length=200, description="Name of a key, `hub-token:FINGERPRINT`, `anonymous`")
    role: RoleName = Field("reader", description="The caller's role")
    action: Action = Field(Action.READ, description="What the call does")
    repo: str | None = Field(
        None,
        max_length=200,
        description="`owner/name`, or with a type first: `datasets/owner/name`, `buckets/…`",
        json_schema_extra=_REPO,
    )
    file: str | None = Field(None, max_length=1024, description="Path of the file that is read or written")
    any_file: bool = Field(False, description="Whether it is about files without saying which, as git and Xet are")
    size: Size | None = Field(None, description="Size of the file in bytes, or with its unit: 5GiB, 1.5MB")
    licence: str | None = Field(None, max_length=100, description="The licence; the Hub is asked where it matters")


class PolicyStep(WireModel):
    """One rule, looked at."""

    rule: str = Field(examples=["no-pickle"])
    effect: Literal["allow", "deny", "read-only"]
    means_it: bool | None = Field(description="Whether it means the call; null: it may, more would have to be known")
    why: str = Field(examples=["the file is pytorch_model.bin"])


class PolicyAnswer(WireModel):
    """The decision, and how it came about."""

    allowed: bool
    rule: str = Field(description="The rule that decides", examples=["no-pickle"])
    sure: bool = Field(description="False where the rule only may mean the call, and is taken for the worst case")
    reason: str | None = Field(description="What the caller is told")
    steps: list[PolicyStep] = Field(description="The rules up to the one that decides, in their order")
