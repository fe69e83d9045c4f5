"""What `refs.py` checks, said once more as JSON Schema, for the API's description."""

from typing import Any, Final

from hfproxy.upstream.refs import MAX_REPO_ID_LENGTH, RepoType

Schema = dict[str, Any]

# Letters, digits and `_`; between them `-` and `.`, of which no two equal ones stand together (`refs.py`).
_PART: Final = r"[A-Za-z0-9_]+(?:(?:-(?:\.-)*\.?|\.(?:-\.)*-?)[A-Za-z0-9_]+)*"
_NO_DOT_GIT: Final[Schema] = {"not": {"pattern": r"\.git(/|$)"}}

OWNER: Final[Schema] = {"pattern": f"^{_PART}$", **_NO_DOT_GIT}
REPO_NAME: Final[Schema] = {"pattern": f"^(?:{_PART}/)?{_PART}$", **_NO_DOT_GIT}
FULL_REPO_NAME: Final[Schema] = {"pattern": f"^{_PART}/{_PART}$", **_NO_DOT_GIT}
# What `RepoRef.parse_printed` reads: a model's id, or any kind's with the kind before it.
PRINTED_REPO: Final[Schema] = {
    "anyOf": [
        {
            "type": "string",
            "pattern": REPO_NAME["pattern"],
            "maxLength": MAX_REPO_ID_LENGTH,
            "not": {"pattern": rf"\.git(/|$)|^({'|'.join(kind.api_segment for kind in RepoType)})/"},
        },
        *(
            {
                "type": "string",
                "pattern": f"^{kind.api_segment}/(?:{_PART}/)?{_PART}$",
                "maxLength": len(kind.api_segment) + 1 + MAX_REPO_ID_LENGTH,
                **_NO_DOT_GIT,
            }
            for kind in RepoType
        ),
    ]
}
