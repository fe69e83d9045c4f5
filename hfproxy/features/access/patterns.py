"""Which repositories a key is limited to.

    acme/*              every repository and bucket of acme
    acme/demo           what is called so, of every type
    */public-*          by name, whoever owns it
    datasets/acme/*     the datasets of acme; also models/, spaces/, kernels/
    buckets/acme/*      the buckets of acme
    datasets/*/*        every dataset
    models/gpt2         one of the few old repositories without an owner

`*` stands for any characters but `/`. Case does not matter, as on the Hub. A repository without an owner is never meant
by a pattern with two parts, so that `*/*` holds no surprise.
"""

import re
from functools import lru_cache

from hfproxy.upstream.refs import HubRef, RepoType

_PART = re.compile(r"[A-Za-z0-9._*-]+")
_BUCKET = "bucket"
_KINDS = {**{repo_type.api_segment: repo_type.value for repo_type in RepoType}, "buckets": _BUCKET}


class BadPattern(ValueError):
    """What was given is no pattern; the message says what would be."""


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> tuple[str | None, re.Pattern[str]]:
    first, *rest = pattern.split("/")
    kind = _KINDS.get(first.lower()) if rest else None
    parts = rest if kind is not None else [first, *rest]
    if not all(_PART.fullmatch(part) for part in parts):
        raise BadPattern(f"{pattern!r}: write owner/name with letters, digits, '-', '_', '.' and '*', such as acme/*")
    if len(parts) > 2:
        raise BadPattern(
            f"{pattern!r}: write owner/name, or a type first: models/, datasets/, spaces/, kernels/ or buckets/"
        )
    if len(parts) == 1 and (kind in {None, _BUCKET} or "*" in parts[0]):
        hint = f"{first}/*/*" if kind is not None else f"{first}/*"
        raise BadPattern(f"{pattern!r}: write {hint} for all of them")
    expression = "/".join(re.escape(part.casefold()).replace(r"\*", "[^/]*") for part in parts)
    return kind, re.compile(expression)


def check_pattern(pattern: str) -> str:
    """`pattern` as it is kept, if it is one. Raises BadPattern."""
    _compiled(pattern.strip())
    return pattern.strip()


def matches(pattern: str, ref: HubRef) -> bool:
    """Whether the pattern means this repository, or bucket."""
    kind, expression = _compiled(pattern)
    return kind in {None, ref.kind} and expression.fullmatch(ref.folded.repo_id) is not None


def covers(patterns: tuple[str, ...] | None, ref: HubRef) -> bool:
    """Whether any of the patterns means this repository, or bucket; None stands for no limit."""
    return patterns is None or any(matches(pattern, ref) for pattern in patterns)
