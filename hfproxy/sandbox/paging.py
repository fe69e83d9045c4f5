"""Listings in pages: an opaque cursor, and the next page's absolute address in `Link`.

Source: contract section 3.1.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import TypeVar
from urllib.parse import urlencode

from .call import Call
from .refusals import BadRequest

Item = TypeVar("Item")
LONGEST_PAGE = 1000


def limit_of(call: Call, default: int, *, longest: int = LONGEST_PAGE) -> int:
    """How many items a page has: what was asked, within what the Hub gives. Raises BadRequest."""
    asked = call.value("limit")
    try:
        limit = int(asked) if asked else default
    except ValueError:
        raise BadRequest('"limit" must be a number') from None
    if limit < 1:
        raise BadRequest('"limit" must be greater than or equal to 1')
    limit = min(limit, longest)
    return min(limit, call.hub.config.page_size) if call.hub.config.page_size else limit


def page(call: Call, items: Sequence[Item], limit: int) -> tuple[Sequence[Item], dict[str, str]]:
    """The page that was asked for, and the headers that lead to the next. Raises BadRequest."""
    start = _offset(call.value("cursor"))
    stop = start + limit
    if stop >= len(items):
        return items[start:], {}
    cursor = base64.urlsafe_b64encode(json.dumps({"offset": stop}).encode()).decode()
    query = [(key, value) for key, value in call.query if key != "cursor"]
    return items[start:stop], next_link(call, [*query, ("cursor", cursor)])


def next_link(call: Call, query: Sequence[tuple[str, str]]) -> dict[str, str]:
    """`Link` to the same path with another query: absolute, as clients ask exactly what it says."""
    return {"Link": f'<{call.base_url}{call.raw_path}?{urlencode(query)}>; rel="next"'}


def _offset(cursor: str | None) -> int:
    if not cursor:
        return 0
    try:
        offset = json.loads(base64.urlsafe_b64decode(cursor))["offset"]
    except (binascii.Error, ValueError, KeyError, TypeError):
        raise BadRequest("Invalid cursor") from None
    if not isinstance(offset, int) or offset < 0:
        raise BadRequest("Invalid cursor")
    return offset
