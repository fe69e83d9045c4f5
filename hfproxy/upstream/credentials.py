"""On whose behalf the Hub is asked."""

import hashlib
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Credential:
    """A Hub token and whose it is; the token never shows in a repr.

    owner: `gateway` is the configured token, `caller` one that the caller sent, `nobody` asks anonymously. It decides
    what a 401 from the Hub means.
    """

    owner: Literal["gateway", "caller", "nobody"]
    token: str | None = field(default=None, repr=False)
    fingerprint: str = field(init=False, repr=False, compare=False)
    """What the token is remembered by, since the token itself is nobody's to keep; empty without one."""

    def __post_init__(self) -> None:
        digest = hashlib.sha256(self.token.encode()).hexdigest() if self.token is not None else ""
        object.__setattr__(self, "fingerprint", digest)


NOBODY = Credential("nobody")
