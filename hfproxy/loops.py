"""Gateways in a ring: this one's Hub is, under whatever names, a gateway whose Hub is this one.

Each gateway says to its Hub which gateways a request has passed (`CDN-Loop`, RFC 8586), and refuses what has passed it
before (docs/decisions/0081). A chain of gateways that ends at a Hub is none.
"""

from contextvars import ContextVar
from typing import Final

HEADER: Final = "CDN-Loop"
PREFIX: Final = "hfproxy-"
MOST_GATEWAYS: Final = 16
"""More than anybody chains; where they are several processes each, it may take some before one sees it twice."""

PASSED: Final[ContextVar[tuple[str, ...]]] = ContextVar("PASSED", default=())
"""Whom the request that something is done for has passed, us as the last. A task has it from whoever began it."""
