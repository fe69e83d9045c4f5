"""What schemathesis must know beside the description: the one rule that JSON Schema cannot say."""

from typing import Any

import schemathesis


@schemathesis.hook
def filter_case(_context: Any, case: Any) -> bool:
    """Owner and name together have at most 96 characters."""
    body = case.body
    if not isinstance(body, dict):
        return True
    owner, name = body.get("organization"), body.get("name")
    return not (isinstance(owner, str) and isinstance(name, str) and len(f"{owner}/{name}") > 96)
