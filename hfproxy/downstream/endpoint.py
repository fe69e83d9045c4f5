"""Typed handlers: what a call takes and gives is read from the handler's annotations, for validation and for OpenAPI.

    @routes.post("/api/repo")
    @endpoint(role=Role.WRITER, raises=(HubRefused,))
    async def create_repo(request: web.Request, body: RepoCreation) -> Repo: ...

`path` takes the parts of the path that the route names, `query` the query string, `body` the JSON body, `fields` the
body or the query or both, for clients that drop the body of a DELETE. The content type of a body does not matter:
`curl -d` calls JSON a form. A handler that returns a `web.Response`, always or in place of a model, sends it as it is
and says with `produces` what it holds.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final, Protocol, TypeVar, cast, get_args, get_type_hints

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError, from_json

from hfproxy.downstream.access import CALLER, Role, require
from hfproxy.downstream.coded import refuse_coded
from hfproxy.downstream.expecting import say_continue
from hfproxy.errors import BadFields, BadRequest, BodyStalled, BodyTooLarge, ProxyError
from hfproxy.keys import SETTINGS

M = TypeVar("M", bound=BaseModel)
JSON_TYPE: Final = "application/json"


def wrong_field(field: str, message: str) -> PydanticCustomError:
    """What a model's validator raises about several fields at once: the answer names this one."""
    return PydanticCustomError("wrong_field", "{message}", {"field": field, "message": message})


class WireModel(BaseModel):
    """A model of our own API: unknown fields are refused, values are not mended."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Operation:
    """What one handler takes, gives and raises; `openapi.py` prints it."""

    name: str
    feature: str
    role: Role
    path: type[BaseModel] | None
    query: type[BaseModel] | None
    body: type[BaseModel] | None
    fields: type[BaseModel] | None
    answer: type[BaseModel] | None
    produces: str
    raises: tuple[type[ProxyError], ...]
    summary: str
    description: str
    always: bool


class EndpointHandler(Protocol):
    """A handler that `endpoint` made."""

    operation: Operation

    def __call__(self, request: web.Request) -> Awaitable[web.StreamResponse]: ...


Handled = Callable[..., Awaitable[BaseModel | web.StreamResponse]]


def endpoint(
    *,
    role: Role,
    raises: Iterable[type[ProxyError]] = (),
    produces: str = JSON_TYPE,
    always: bool = False,
    admit: Callable[[web.Request], None] | None = None,
) -> Callable[[Handled], EndpointHandler]:
    """Makes a typed function a handler for callers who have `role`.

    raises: the problems it documents, beside those that follow from what it takes. always: it is answered even when
    the gateway refuses others for want of room (health, metrics). admit: raises where a call that no role speaks for
    is not to be read at all.
    """

    def decorate(function: Handled) -> EndpointHandler:
        operation = _operation(function, role, tuple(raises), produces, always)

        @wraps(function)
        async def handler(request: web.Request) -> web.StreamResponse:
            require(request[CALLER], role)
            if admit is not None:
                admit(request)
            answer = await function(request, **await _arguments(request, operation))
            return answer if isinstance(answer, web.StreamResponse) else json_answer(answer)

        made = cast("EndpointHandler", handler)
        made.operation = operation
        return made

    return decorate


def _operation(
    function: Handled, role: Role, raises: tuple[type[ProxyError], ...], produces: str, always: bool
) -> Operation:
    hints = get_type_hints(function)
    summary, _, description = (inspect.getdoc(function) or "").partition("\n")
    returned = hints["return"]
    answers = [kind for kind in get_args(returned) or (returned,) if issubclass(kind, BaseModel)]
    return Operation(
        name=function.__name__,
        feature=function.__module__.rpartition(".features.")[2].partition(".")[0],
        role=role,
        path=hints.get("path"),
        query=hints.get("query"),
        body=hints.get("body"),
        fields=hints.get("fields"),
        answer=answers[0] if answers else None,
        produces=produces,
        raises=raises,
        summary=summary.removesuffix("."),
        description=description.strip(),
        always=always,
    )


def operation_of(request: web.Request) -> Operation | None:
    """What the request's route takes and gives; None for a relayed path, or where there is no route."""
    return getattr(request.match_info.handler, "operation", None)


def add_endpoints(app: web.Application, routes: web.RouteTableDef) -> None:
    """Registers a feature's routes, each with and without a slash at its end, and HEAD where there is GET."""
    for route in routes:
        assert isinstance(route, web.RouteDef)
        paths = [route.path] if route.path.endswith("/") else [route.path, f"{route.path}/"]
        for path in paths:
            app.router.add_route(route.method, path, route.handler, expect_handler=say_continue)
            if route.method == "GET":
                app.router.add_route("HEAD", path, route.handler, expect_handler=say_continue)


def json_answer(model: BaseModel, *, status: int = 200) -> web.Response:
    """A model as the JSON that its OpenAPI schema promises; what was never set is left out."""
    return web.Response(
        status=status,
        body=model.model_dump_json(by_alias=True, exclude_unset=True).encode(),
        content_type=JSON_TYPE,
    )


async def _arguments(request: web.Request, operation: Operation) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    if operation.path is not None:
        arguments["path"] = _validated(
            operation.path, lambda model: model.model_validate_strings(dict(request.match_info))
        )
    if operation.fields is not None:
        arguments["fields"] = await _read_fields(request, operation.fields)
        return arguments
    if operation.query is not None:
        arguments["query"] = _validated(operation.query, lambda model: model.model_validate_strings(_query(request)))
    elif request.query and request.method not in {"GET", "HEAD"}:
        # A write whose fields stand where nobody reads them would do something else than was asked.
        raise BadFields(
            "this call takes its fields in the body",
            errors=[{"field": name, "message": "belongs in the body"} for name in request.query],
        )
    if operation.body is not None:
        raw = await _read(request) or b"{}"
        _read_json(raw)
        arguments["body"] = _validated(operation.body, lambda model: model.model_validate_json(raw, strict=True))
    return arguments


async def _read(request: web.Request) -> bytes:
    """The whole body. Raises BodyTooLarge before it is sent, BodyStalled if it does not end in time, and others."""
    refuse_coded(request, "send the body without a Content-Encoding")
    if (request.content_length or 0) > request.client_max_size:
        raise BodyTooLarge(f"this call takes at most {request.client_max_size} bytes")
    try:
        async with asyncio.timeout(request.app[SETTINGS].server.body_timeout.total_seconds()):
            return await request.read()
    except TimeoutError:
        raise BodyStalled("it did not end in time") from None
    except web.RequestPayloadError as error:
        raise BadRequest(f"the body cannot be read: {error}") from None


async def _read_fields(request: web.Request, model: type[M]) -> M:
    raw = await _read(request)
    sent = _read_json(raw) if raw else {}
    query = _query(request)
    if doubled := [name for name in query if name in sent and sent[name] != query[name]]:
        raise BadFields(
            "; ".join(f"{name}: the body and the query differ" for name in doubled),
            errors=[{"field": name, "message": "the body and the query differ"} for name in doubled],
        )
    return _validated(model, lambda model: model.model_validate({**query, **sent}))


def _read_json(raw: bytes) -> dict[str, Any]:
    try:
        sent = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}") from None
    if not isinstance(sent, dict):
        raise BadFields("the body must be a JSON object", errors=[{"field": "body", "message": "must be an object"}])
    return sent


def _query(request: web.Request) -> dict[str, str]:
    if doubled := sorted({name for name in request.query if len(request.query.getall(name)) > 1}):
        raise BadFields(
            "; ".join(f"{name}: given more than once" for name in doubled),
            errors=[{"field": name, "message": "given more than once"} for name in doubled],
        )
    return dict(request.query)


def _validated(model: type[M], validate: Callable[[type[M]], M]) -> M:
    try:
        return validate(model)
    except ValidationError as error:
        errors = [_named(detail) for detail in error.errors(include_url=False)]
        summary = "; ".join(f"{each['field']}: {each['message']}" for each in errors)
        raise BadFields(summary, errors=errors) from None


def _named(detail: ErrorDetails) -> dict[str, str]:
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        message = "there is no such field"
    field = ".".join(map(str, detail["loc"])) or detail.get("ctx", {}).get("field", "body")
    return {"field": field, "message": message}
