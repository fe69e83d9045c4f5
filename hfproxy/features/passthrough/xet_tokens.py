"""Xet tokens of ours: each stands for the one that the Hub gave a caller, and for the store that takes it.

A client never holds the token itself, so it can neither be used past the gateway nor be sent to another store than the
one the Hub named. Nothing is kept: any process that shares the secret reads them.
"""

from dataclasses import dataclass, field, replace

from hfproxy.downstream.access import Caller, Role
from hfproxy.errors import CallerUnknown
from hfproxy.seals import BadSeal, Seals

# Tells logs what to hide (`redaction.py`), and people what they see.
PREFIX = "hfx_"


@dataclass(frozen=True, slots=True)
class XetGrant:
    """What a token of ours stands for.

    cas: the store's address. caller: who was given it. repo, revision: what the Hub gave it for, a repository or a
    bucket as it prints; the store holds callers to it.
    """

    cas: str
    token: str = field(repr=False)
    caller: Caller
    repo: str | None = None
    revision: str = ""
    writes: bool = False


class XetTokens:
    """Makes and reads them. They run out when the Hub's own does: the store says so, and clients ask for another."""

    def __init__(self, key: bytes) -> None:
        self._seals = Seals(key)

    def issue(self, grant: XetGrant) -> str:
        """The token's text."""
        return PREFIX + self._seals.seal(
            {
                "cas": grant.cas,
                "token": grant.token,
                "caller": sealed_caller(grant.caller),
                "repo": grant.repo,
                "revision": grant.revision,
                "writes": grant.writes,
            }
        )

    def read(self, secret: str, *, address: str | None = None) -> XetGrant:
        """What it stands for; `address` is where its caller is now. Raises CallerUnknown."""
        if not secret.startswith(PREFIX):
            raise CallerUnknown("Xet calls take the token that this gateway gave for them")
        try:
            plain = self._seals.open(secret.removeprefix(PREFIX))
        except BadSeal:
            raise CallerUnknown("this gateway gave no such Xet token") from None
        caller = caller_of(plain.pop("caller"))
        return XetGrant(**plain, caller=replace(caller, address=address))


def caller_of(told: list[object]) -> Caller:
    """The caller that was sealed."""
    name, role, kind, id_, repos = told
    return Caller(name, Role(role), kind, id_, tuple(repos) if repos is not None else None)  # type: ignore[arg-type]


def sealed_caller(caller: Caller) -> list[object]:
    """A caller as a seal takes it: who they are, not where."""
    return [caller.name, int(caller.role), caller.kind, caller.id, caller.repos]
