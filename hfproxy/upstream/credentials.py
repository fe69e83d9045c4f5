"""On whose behalf the Hub is asked."""

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


NOBODY = Credential("nobody")
