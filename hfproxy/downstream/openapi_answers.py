"""What a call can answer, for the API's description: its answer, and every problem that can take the answer's place."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Final

from hfproxy.downstream.access import Role
from hfproxy.downstream.endpoint import Operation
from hfproxy.downstream.problems import PROBLEM_TYPE
from hfproxy.errors import (
    BadFields,
    BadRequest,
    BodyStalled,
    BodyTooLarge,
    CallerNotAllowed,
    CallerUnknown,
    CodingNotTaken,
    HubFailed,
    HubRefused,
    Overloaded,
    ProxyError,
    TooManyAttempts,
    Unexpected,
)

Json = dict[str, Any]

# Errors whose status is the Hub's to choose.
_STATUSES: Final[dict[type[ProxyError], tuple[int, ...]]] = {
    HubRefused: (400, 401, 402, 403, 404, 409, 422, 429),
    HubFailed: (502, 503, 504),
}
GATEWAY_ID: Final = "X-HFProxy-Request-Id"


def responses(operation: Operation, content: Json, shared: Json) -> Json:
    """The answers of one operation by status; `content` is that of the good one. Problems are put into `shared`."""
    answer: Json = {
        "description": "Done" if operation.answer else "As asked",
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-Id", GATEWAY_ID)},
        "content": content,
    }
    refusals = sorted(_refusals(operation), key=lambda each: (each[0], each[1].code))
    return {"200": answer} | {
        str(status): _problem_response(status, [error for _, error in group], shared)
        for status, group in groupby(refusals, key=lambda each: each[0])
    }


def _refusals(operation: Operation) -> set[tuple[int, type[ProxyError]]]:
    """What can be answered in place of 200: what the call names, what its input and its role bring, and what can
    befall any call."""
    errors: list[type[ProxyError]] = [*operation.raises, Unexpected]
    if not operation.always:
        errors.append(Overloaded)
    # A wrong key is refused wherever it is sent.
    errors += [CallerUnknown, TooManyAttempts]
    if operation.role is not Role.NONE:
        errors.append(CallerNotAllowed)
    if operation.path or operation.query or operation.body or operation.fields:
        errors.append(BadFields)
    if operation.body or operation.fields:
        errors += [BadRequest, BodyTooLarge, BodyStalled, CodingNotTaken]
    return {(status, error) for each in errors for error in _with_kinds(each) for status in _statuses(error)}


def _with_kinds(error: type[ProxyError]) -> Iterator[type[ProxyError]]:
    yield error
    for kind in error.__subclasses__():
        yield from _with_kinds(kind)


def _statuses(error: type[ProxyError]) -> tuple[int, ...]:
    if issubclass(error, HubRefused) and error is not HubRefused:
        return (401,)
    return _STATUSES.get(error, (error.status,))


def _problem_response(status: int, errors: Sequence[type[ProxyError]], shared: Json) -> Json:
    headers = ["X-Error-Code", "X-Error-Message", "X-Request-Id", GATEWAY_ID]
    if status in {429, 503}:
        headers.append("Retry-After")
    examples = {error.code: {"summary": error.title, "value": _example(status, error)} for error in errors}
    name = "-".join([str(status), *examples])
    shared[name] = {
        "description": "\n".join(f"- **{error.code}**: {_sentence(error)}" for error in errors),
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
        "content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}},
    }
    return {"$ref": f"#/components/responses/{name}"}


def _example(status: int, error: type[ProxyError]) -> Json:
    example: Json = {
        "type": "about:blank",
        "title": error.title,
        "status": status,
        "code": error.code,
        "detail": error.title,
        "instance": "/api/repo",
        "error": error.title,
    }
    if error is BadFields:
        return example | {"errors": [{"field": "name", "message": "Field required"}]}
    return example


def _sentence(error: type[ProxyError]) -> str:
    return " ".join((error.__doc__ or error.title).partition("\n\n")[0].split())


HEADERS: Final[Json] = {
    "X-Request-Id": {
        "description": "The Hub's id of the call where it was asked, else ours",
        "schema": {"type": "string"},
    },
    GATEWAY_ID: {"description": "Our id of the call, as in the log", "schema": {"type": "string"}},
    "X-Error-Code": {
        "description": "The Hub's own code, by which its clients pick their exception, or ours",
        "schema": {"type": "string"},
    },
    "X-Error-Message": {"description": "What is wrong, on one line", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds to wait before the next try", "schema": {"type": "string"}},
}
PROBLEM: Final[Json] = {
    "title": "Problem",
    "description": "What went wrong (RFC 9457). Members beside these are facts of the case.",
    "type": "object",
    "required": ["type", "title", "status", "code", "detail", "instance", "error"],
    "properties": {
        "type": {"type": "string", "const": "about:blank"},
        "title": {"type": "string", "description": "The kind of problem in words"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "code": {"type": "string", "description": "The kind of problem as a name to compare with"},
        "detail": {"type": "string", "description": "This case in words; the Hub's own where it was the Hub's refusal"},
        "instance": {"type": "string", "description": "The path that was asked"},
        "error": {"type": "string", "description": "The detail again, where the Hub's clients look for it"},
        "errors": {
            "type": "array",
            "description": "Each wrong field",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}
