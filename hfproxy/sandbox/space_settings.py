"""The secrets and variables of a Space by name, read from the lists and bodies that clients send."""

import re
from datetime import datetime
from typing import Any

from .refusals import BadRequest
from .whoami import iso

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")


def named(given: Any, kind: str, now: datetime) -> dict[str, dict[str, Any]]:
    """`[{key, value, description?}]` by key; of `secrets` without their values. Raises BadRequest."""
    found: dict[str, dict[str, Any]] = {}
    for each in given if isinstance(given, list) else [given]:
        if not isinstance(each, dict) or not isinstance(each.get("value"), str):
            raise BadRequest(f'"{kind}" must be of the form {{key, value, description}}')
        key, description = each.get("key"), each.get("description")
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            raise BadRequest('"key" must be a name that an environment variable may have')
        found[key] = {
            **({"value": each["value"]} if kind == "variables" else {}),
            **({"description": description} if isinstance(description, str) else {}),
            "updatedAt": iso(now),
        }
    return found
