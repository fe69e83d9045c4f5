"""Trouble on order: which requests it meets, and what happens to them.

A trouble is said in one line of text (`--trouble`, `/-/trouble`), in JSON, or in Python:

    status=503,times=2,method=POST,path=/api/repos/create
    {"status": 503, "times": 2, "method": "POST", "path": "/api/repos/create"}
    Trouble(status=503, times=2, method="POST", path="/api/repos/create")
"""

import asyncio
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from random import Random
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

Origin = Literal["hub", "cdn", "cas"]

_DURATION: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m)?")
_SIZE: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(B|kB|KiB|MB|MiB|GB|GiB)?")
_SECONDS: Final = {"ms": 0.001, "s": 1, "m": 60}
_BYTES: Final = {"B": 1, "kB": 1000, "KiB": 1024, "MB": 10**6, "MiB": 2**20, "GB": 10**9, "GiB": 2**30}
# A name as it is said, without the unit that the field carries.
_SAID: Final = {
    "latency": "latency_s",
    "first_byte": "first_byte_s",
    "retry_after": "retry_after_s",
    "rate_limited": "rate_limited_s",
    "bandwidth": "bandwidth_bytes_s",
    "length": "length_off_bytes",
    "corrupt": "corrupt_at_byte",
}


class BadTrouble(ValueError):
    """A trouble that cannot be understood; the message says which part."""


def _seconds(value: object) -> object:
    """A number of seconds from `50ms`, `2s`, `1m`; plain numbers are seconds."""
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    return float(found[1]) * _SECONDS[found[2] or "s"] if found else value


def _size(value: object) -> object:
    """A number of bytes from `100kB`, `1MiB`; plain numbers are bytes."""
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    return int(float(found[1]) * _BYTES[found[2] or "B"]) if found else value


def _listed(value: object) -> object:
    return tuple(value.split("+")) if isinstance(value, str) else value


Seconds = Annotated[float, BeforeValidator(_seconds), Field(ge=0)]
WholeSeconds = Annotated[int, BeforeValidator(_seconds), Field(ge=0)]
Bytes = Annotated[int, BeforeValidator(_size), Field(ge=0)]
Where = Annotated[Literal["headers"] | Bytes, Field(union_mode="left_to_right")]


class Trouble(BaseModel):
    """What happens to the requests it meets. Several troubles may meet one request."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Which requests
    origin: Origin | None = Field(None, description="Only on the Hub, on its CDN, or on its Xet store")
    method: str = Field("*", description="GET, POST …, or a pattern")
    path: str = Field("*", description="A pattern over the undecoded path; `*` crosses slashes")
    times: int | None = Field(None, ge=1, description="How many requests it meets before it is over")
    skip: int = Field(0, ge=0, description="How many requests of the kind pass before")
    rate: float = Field(1, gt=0, le=1, description="The share of the requests it meets")
    seed: int = Field(0, description="What decides which ones, the same ones each time")

    # Before the answer
    latency_s: Seconds = Field(0, description="The request waits so long before anything happens")
    carried_out: bool = Field(False, description="The request is carried out first, and only its answer is in trouble")
    status: int | None = Field(None, ge=400, le=599, description="This status is the answer")
    message: str | None = Field(None, description="The text of that answer")
    code: str | None = Field(None, description="Its X-Error-Code")
    retry_after_s: WholeSeconds | None = Field(None, description="Its Retry-After")
    rate_limited_s: WholeSeconds | None = Field(None, description="429 with nothing left in RateLimit for so long")
    body: Literal["html", "truncated", "garbled", "empty"] | None = Field(
        None,
        description="200 with a login page; half the body, JSON that is none, or nothing, each as if it were whole",
    )

    # On the wire
    first_byte_s: Seconds = Field(0, description="The pause between headers and body")
    bandwidth_bytes_s: Bytes | None = Field(None, gt=0, description="Most bytes a second of a body on one connection")
    cut: Where | None = Field(
        None, description="The connection ends before the headers, or after so many bytes of body"
    )
    reset: bool = Field(False, description="A cut resets the connection and does not just close it")
    hang: Where | None = Field(None, description="Nothing more comes, from before the headers or after so many bytes")
    length_off_bytes: int = Field(0, description="Content-Length is wrong by so many bytes, up or down")
    corrupt_at_byte: Bytes | None = Field(None, description="The byte of the body that is turned over")
    without: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field((), description="Headers that are left out")

    @model_validator(mode="before")
    @classmethod
    def _as_it_is_said(cls, fields: Any) -> Any:
        if not isinstance(fields, dict):
            return fields
        return {_SAID.get(name.replace("-", "_"), name.replace("-", "_")): value for name, value in fields.items()}

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if self.rate_limited_s is not None and self.status not in {None, 429}:
            raise ValueError("rate_limited is an answer of 429")
        if self.reset and self.cut is None:
            raise ValueError("reset says how a cut ends; say where with cut")
        if not (self.is_on_the_wire or self.answers or self.body or self.latency_s):
            raise ValueError("it does nothing: say latency, status, cut, hang or another")
        return self

    @property
    def answers(self) -> bool:
        """Whether it takes the place of the answer's headers."""
        return self.status is not None or self.rate_limited_s is not None or "headers" in {self.cut, self.hang}

    @property
    def is_on_the_wire(self) -> bool:
        """Whether it meddles with an answer that is on its way."""
        of_body = (
            self.bandwidth_bytes_s,
            self.corrupt_at_byte,
            *(each for each in (self.cut, self.hang) if each != "headers"),
        )
        return bool(self.first_byte_s or self.length_off_bytes or self.without) or any(
            each is not None for each in of_body
        )

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `name=value,name=value`; a name alone is `true`. Raises BadTrouble."""
        said: dict[str, object] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, equals, value = part.partition("=")
            said[name.strip()] = value.strip() if equals else True
        return cls.of(said)

    @classmethod
    def of(cls, said: object) -> Self:
        """From JSON's values. Raises BadTrouble."""
        try:
            return cls.model_validate(said)
        except ValidationError as error:
            told = (f"{'.'.join(map(str, each['loc'])) or 'trouble'}: {each['msg']}" for each in error.errors())
            raise BadTrouble("; ".join(told)) from None


@dataclass(slots=True)
class Armed:
    """A trouble that waits for requests, and how it has fared."""

    trouble_id: int
    trouble: Trouble
    seen: int = 0
    struck: int = 0
    dice: Random = field(init=False)

    def __post_init__(self) -> None:
        self.dice = Random(self.trouble.seed)  # noqa: S311 - the same each time is the point

    def meets(self, origin: Origin, method: str, raw_path: str) -> bool:
        """Whether it strikes this request; counts it."""
        trouble = self.trouble
        if trouble.origin not in {None, origin} or not fnmatchcase(method, trouble.method.upper()):
            return False
        if not fnmatchcase(raw_path, trouble.path) or (trouble.times is not None and self.struck >= trouble.times):
            return False
        self.seen += 1
        if self.seen <= trouble.skip or (trouble.rate < 1 and self.dice.random() >= trouble.rate):
            return False
        self.struck += 1
        return True

    def told(self) -> dict[str, object]:
        """Its state, as the control route tells it."""
        said = self.trouble.model_dump(exclude_defaults=True)
        return {"id": self.trouble_id, "seen": self.seen, "struck": self.struck, "trouble": said}


class Troubles:
    """The troubles of one Hub, changed while it runs."""

    def __init__(self, troubles: Iterable[Trouble] = ()) -> None:
        self._armed: list[Armed] = []
        self._last_id = 0
        self.over = asyncio.Event()
        """Set when all troubles end at once: what hangs or waits then goes on."""
        for trouble in troubles:
            self.add(trouble)

    def add(self, trouble: Trouble) -> Armed:
        """One more, after those there are."""
        self._last_id += 1
        armed = Armed(self._last_id, trouble)
        self._armed.append(armed)
        return armed

    def replace(self, troubles: Iterable[Trouble]) -> None:
        """These and no others."""
        self.clear()
        for trouble in troubles:
            self.add(trouble)

    def remove(self, trouble_id: int) -> bool:
        """End one; whether there was one of that number."""
        before = len(self._armed)
        self._armed = [armed for armed in self._armed if armed.trouble_id != trouble_id]
        return len(self._armed) < before

    def clear(self) -> None:
        """End all, also for requests that are in trouble now."""
        self._armed.clear()
        over, self.over = self.over, asyncio.Event()
        over.set()

    def strike(self, origin: Origin, method: str, raw_path: str) -> list[Trouble]:
        """The troubles that meet a request."""
        return [armed.trouble for armed in self._armed if armed.meets(origin, method, raw_path)]

    def __iter__(self) -> Iterator[Armed]:
        return iter(list(self._armed))
