"""JSON that others wrote, read as widely as the Hub and its clients read it, and printed again."""

import json
from typing import Any


def read_document(body: bytes) -> Any:
    """What a body says. Raises ValueError for what is no JSON, or nested too deep to be read."""
    try:
        return json.loads(body)
    except RecursionError:
        raise ValueError("nested too deep") from None


def read_object(body: bytes) -> dict[str, Any]:
    """The object that a body is; an empty one for any other body."""
    try:
        document = read_document(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def print_document(document: Any) -> bytes:
    """The document as the Hub prints one. Half of a surrogate pair, which UTF-8 cannot say, stays an escape."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(document, separators=(",", ":")).encode()
