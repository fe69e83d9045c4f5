"""What every answer of the Hub has in common: headers, weak ETags on JSON, and the form of an error.

Sources: contract sections 1.3 and 1.4.
"""

import base64
import hashlib
import html
import json
import secrets
import time
from typing import Any

from aiohttp import web

from hfproxy.upstream import headers

from .refusals import Refusal

HUB = "https://huggingface.co"
EXPOSED = (
    "X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,X-Total-Count,"
    "ETag,Link,Accept-Ranges,Content-Range,X-Linked-Size,X-Linked-ETag,X-Xet-Hash"
)
NOT_FOUND_TEXT = "Sorry, we can't find the page you are looking for."


def json_answer(body: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """JSON as the Hub writes it, with its weak ETag."""
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    digest = base64.b64encode(hashlib.sha1(content, usedforsecurity=False).digest()).decode()[:27]
    return web.Response(
        body=content,
        status=status,
        headers={
            "Content-Type": "application/json; charset=utf-8",
            "ETag": f'W/"{len(content):x}-{digest}"',
            **(headers or {}),
        },
    )


def text_answer(text: str, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=text.encode(),
        status=status,
        headers={"Content-Type": "text/plain; charset=utf-8", **(headers or {})},
    )


def page_answer(text: str, *, status: int = 200) -> web.Response:
    """A web page that says one thing."""
    shown = html.escape(text)
    page = f"<!doctype html>\n<html><head><title>{shown}</title></head><body><h1>{shown}</h1></body></html>\n"
    return web.Response(
        body=page.encode(),
        status=status,
        headers={"Content-Type": "text/html; charset=utf-8"},
    )


def refusal_answer(refusal: Refusal, raw_path: str) -> web.Response:
    """A refusal as JSON under `/api/` and in git-lfs, as text for files, as HTML elsewhere."""
    kind = kind_of_path(raw_path)
    if kind == "api":
        answer = json_answer({"error": refusal.message, **refusal.facts}, status=refusal.status)
    elif kind == "resolvers":
        answer = text_answer(refusal.message, status=refusal.status)
    else:
        answer = page_answer(refusal.message, status=refusal.status)
    answer.headers.update(refusal.headers)
    if refusal.status >= 400:
        answer.headers[headers.ERROR_MESSAGE] = header_text(refusal.message)
    if refusal.code:
        answer.headers[headers.ERROR_CODE] = refusal.code
    return answer


def kind_of_path(raw_path: str) -> str:
    """Which of the Hub's three kinds a path is, and which quota it spends: `api`, `resolvers` or `pages`."""
    segments = raw_path.split("/")
    if segments[1] == "api":
        return "resolvers" if segments[2:3] == ["resolve-cache"] else "api"
    if {"resolve", "raw"} & set(segments[2:5]):
        return "resolvers"
    return "api" if ".git/" in raw_path or segments[1] in {"oauth", "uploads"} else "pages"


def common_headers(request: web.Request) -> dict[str, str]:
    """What stands on every answer, whatever it says."""
    return {
        "X-Powered-By": "huggingface-moon",
        headers.REQUEST_ID: _request_id(request),
        "Vary": "Origin, Accept" if kind_of_path(request.raw_path.partition("?")[0]) == "resolvers" else "Origin",
        "Access-Control-Allow-Origin": request.headers.get("Origin", HUB),
        "Access-Control-Expose-Headers": EXPOSED,
        "Referrer-Policy": "strict-origin-when-cross-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
    }


def _request_id(request: web.Request) -> str:
    """The caller's own id as it is, else a new one that ends in the caller's trace id.

    Source: `huggingface_hub` tests/test_utils_http.py, TestUniqueRequestId.
    """
    if asked := request.headers.get(headers.REQUEST_ID):
        return header_text(asked)
    trace_id = request.headers.get(headers.TRACE_ID)
    root = f"Root=1-{int(time.time()):x}-{secrets.token_hex(12)}"
    return f"{root};{header_text(trace_id)}" if trace_id else root


def preflight(request: web.Request) -> web.Response:
    """The answer to `OPTIONS`: yes to the method and headers that a browser asks for."""
    allowed = {
        "Access-Control-Allow-Methods": request.headers.get("Access-Control-Request-Method", "GET"),
        "Access-Control-Allow-Headers": request.headers.get("Access-Control-Request-Headers", ""),
        "Access-Control-Max-Age": "86400",
    }
    return web.Response(status=200, headers={name: value for name, value in allowed.items() if value})


def header_text(text: str) -> str:
    """Text that may stand in a header: one line, what Latin-1 lacks replaced."""
    return " ".join(text.split()).encode("latin-1", "replace").decode("latin-1")
