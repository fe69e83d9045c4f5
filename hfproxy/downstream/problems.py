"""Errors as answers: RFC 9457 problems that the Hub's own clients understand too. The only way out.

`X-Error-Code` and `X-Error-Message` are what `huggingface_hub` reads (`utils/_http.py`, `hf_raise_for_status`); the
`error` member is what older and other clients print.
"""

import json
from typing import Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from hfproxy.errors import BodyTooLarge, MethodNotAllowed, NotFound, ProxyError, RequestRefused, Unexpected
from hfproxy.facts import note
from hfproxy.redaction import redact, redact_value
from hfproxy.upstream.headers import ERROR_CODE, ERROR_MESSAGE

log = structlog.get_logger(__name__)

STARTED: Final = web.RequestKey("started", web.StreamResponse)
PROBLEM_TYPE = "application/problem+json"


async def mark_started(request: web.Request, response: web.StreamResponse) -> None:
    """Remembers that an answer has begun, after which no error answer can be sent (`on_response_prepare`)."""
    request[STARTED] = response


def render(error: ProxyError, *, instance: str, for_git: bool = False) -> web.Response:
    """One error as one answer.

    for_git: as plain text, the only kind that git shows (`remote-curl.c`, `show_http_message`).
    """
    detail = redact(error.detail)
    body = {
        "type": "about:blank",
        "title": error.title,
        "status": error.status,
        "code": error.code,
        "detail": detail,
        "instance": instance,
        "error": detail,
        **redact_value(error.facts),
    }
    headers = {
        ERROR_CODE: _one_line(error.hub_code or error.code),
        ERROR_MESSAGE: _one_line(detail),
        "Cache-Control": "no-store",
    } | {name: _one_line(redact(value)) for name, value in error.headers.items()}
    if for_git:
        return web.Response(status=error.status, headers=headers, text=f"{detail}\n")
    return web.Response(status=error.status, headers=headers, body=json.dumps(body).encode(), content_type=PROBLEM_TYPE)


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error becomes one answer; an answer that has begun is cut, never appended to."""
    try:
        return await handler(request)
    except ProxyError as error:
        return _answer_or_cut(request, error)
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted({*error.allowed_methods, "OPTIONS"}))
        if request.method == "OPTIONS":
            # RFC 9110 section 9.3.7: what the path takes, and nothing is done.
            return web.Response(status=204, headers={"Allow": allowed})
        return _answer_or_cut(request, MethodNotAllowed(f"use {allowed}", headers={"Allow": allowed}))
    except web.HTTPException as error:
        if error.status < 400:
            # An answer and no error; made one here, so that whoever sends and counts answers gets it.
            return web.Response(status=error.status, headers={"Location": error.headers.get("Location", "")})
        return _answer_or_cut(request, _from_aiohttp(error))
    except ConnectionResetError:
        raise  # the caller is gone; there is nobody to answer
    except Exception:
        log.exception("request.failed")
        return _answer_or_cut(request, Unexpected())


def _answer_or_cut(request: web.Request, error: ProxyError) -> web.StreamResponse:
    note(outcome=error.code)
    if STARTED not in request:
        for_git = request.headers.get("User-Agent", "").startswith("git/")
        return render(error, instance=request.raw_path.partition("?")[0], for_git=for_git)
    log.warning("response.cut", code=error.code, detail=error.detail)
    if request.transport is not None:
        request.transport.abort()  # a short body is honest; a mended one is not
    return request[STARTED]


def _from_aiohttp(error: web.HTTPException) -> ProxyError:
    """What aiohttp itself refuses, in our words."""
    if isinstance(error, web.HTTPNotFound):
        return NotFound()
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return BodyTooLarge(error.text)
    refused = RequestRefused(error.reason)
    refused.status = error.status
    return refused


def _one_line(text: str) -> str:
    """Text as a header value: header lines carry printable ASCII, here at most 1000 of them."""
    return "".join(char if " " <= char <= "~" else "?" for char in " ".join(text.split())[:1000])
