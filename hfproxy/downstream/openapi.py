"""The API's description, OpenAPI 3.1, derived from the endpoints that a router holds.

Nothing is described by hand: what a call takes and gives comes from its models, what it refuses from the errors it
raises, its words from its docstring. Relayed paths are the Hub's to describe.
"""

from collections.abc import Iterator
from importlib import import_module
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel

from hfproxy import __version__
from hfproxy.downstream.access import Role
from hfproxy.downstream.endpoint import JSON_TYPE, Operation
from hfproxy.downstream.openapi_answers import HEADERS, PROBLEM, Json, responses
from hfproxy.errors import CallerUnknown

SECURITY_SCHEMES: Final[Json] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A gateway key (`hfp_…`), or a Hub token"},
    "basic": {"type": "http", "scheme": "basic", "description": "The same as the password; the user does not matter"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same in a header of its own"},
}
_REF = "#/components/schemas/{model}"


def openapi_document(router: web.UrlDispatcher, *, anonymous: Role = Role.NONE) -> Json:
    """The description of every endpoint of the router. anonymous: what callers without a key may do here."""
    schemas: Json = {}
    shared: Json = {}
    paths: Json = {}
    features: dict[str, None] = {}
    for path, method, operation in sorted(_operations(router), key=_in_order):
        paths.setdefault(path, {})[method] = _operation(operation, anonymous, schemas, shared)
        features[operation.feature] = None
    schemas["Problem"] = PROBLEM
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "hfproxy",
            "version": __version__,
            "summary": "A team's own front door to the Hugging Face Hub",
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        # Relative to this document, which lies at /-/openapi.json: right under any path prefix.
        "servers": [{"url": "../", "description": "This gateway"}],
        "tags": [{"name": feature, "description": _about(feature)} for feature in features],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": SECURITY_SCHEMES,
            "headers": HEADERS,
            "responses": dict(sorted(shared.items())),
        },
    }


def _operations(router: web.UrlDispatcher) -> Iterator[tuple[str, str, Operation]]:
    """Every endpoint once: not its twin with a slash at the end, and not HEAD beside GET."""
    paths = {resource.canonical for resource in router.resources()}
    for resource in router.resources():
        path = resource.canonical
        if path != "/" and path.endswith("/") and path[:-1] in paths:
            continue
        for route in resource:
            operation = getattr(route.handler, "operation", None)
            if operation is not None and route.method != "HEAD":
                yield path, route.method.lower(), operation


def _in_order(each: tuple[str, str, Operation]) -> tuple[bool, bool, str]:
    """What callers come for first: the API, then operation, then pages."""
    path, _, operation = each
    return operation.produces == "text/html", path.startswith("/-/"), path


def _operation(operation: Operation, anonymous: Role, schemas: Json, shared: Json) -> Json:
    described: Json = {
        "operationId": operation.name,
        "tags": [operation.feature],
        "summary": operation.summary,
        "description": _description(operation),
        "security": _security(operation, anonymous),
        "responses": responses(operation, _content(operation, schemas), shared),
    }
    parameters = [*_parameters(operation.path, "path", schemas), *_parameters(operation.query, "query", schemas)]
    if parameters:
        described["parameters"] = parameters
    if (body := operation.body or operation.fields) is not None:
        described["requestBody"] = {"required": True, "content": {JSON_TYPE: {"schema": _schema(body, schemas)}}}
    return described


def _description(operation: Operation) -> str:
    role = f"Needs the role **{operation.role.name.lower()}**." if operation.role else ""
    return "\n\n".join(part for part in (operation.description, role) if part)


def _security(operation: Operation, anonymous: Role) -> list[Json]:
    if operation.role is Role.NONE and CallerUnknown not in operation.raises:
        return []
    schemes: list[Json] = [{name: []} for name in SECURITY_SCHEMES]
    # An empty requirement says that a key may be left out.
    return [*schemes, {}] if anonymous >= operation.role else schemes


def _parameters(model: type[BaseModel] | None, where: str, schemas: Json) -> Iterator[Json]:
    if model is None:
        return
    schema = model.model_json_schema(ref_template=_REF, mode="validation")
    schemas |= schema.pop("$defs", {})
    for name, field in schema["properties"].items():
        field = _without_null(field)
        description = field.pop("description", None)
        required = where == "path" or name in schema.get("required", [])
        parameter = {"name": name, "in": where, "required": required, "schema": field}
        yield parameter | ({"description": description} if description else {})


def _without_null(field: Json) -> Json:
    """A field of a query: what is not sent is left out, never written as null."""
    field = {name: value for name, value in field.items() if not (name == "default" and value is None)}
    options = [option for option in field.get("anyOf", []) if option != {"type": "null"}]
    if len(options) == 1:
        del field["anyOf"]
        [option] = options
        return {**option, **field}
    return field | ({"anyOf": options} if options else {})


def _content(operation: Operation, schemas: Json) -> Json:
    content: Json = {}
    if operation.answer is not None:
        content[JSON_TYPE] = {"schema": _schema(operation.answer, schemas, mode="serialization")}
    if operation.answer is None or operation.produces != JSON_TYPE:
        content[operation.produces] = {"schema": {"type": "string"}}
    return content


def _schema(model: type[BaseModel], schemas: Json, *, mode: Any = "validation") -> Json:
    """A reference to the model, whose schema and those it uses are put among the components."""
    schema = model.model_json_schema(ref_template=_REF, mode=mode)
    schemas |= schema.pop("$defs", {})
    schemas[model.__name__] = schema
    return {"$ref": _REF.format(model=model.__name__)}


def _about(feature: str) -> str:
    """A feature's paragraph about itself: its package's docstring."""
    return (import_module(f"hfproxy.features.{feature}").__doc__ or feature).strip()


_DESCRIPTION: Final = """\
The gateway's own API. All other paths are the Hub's.

Every error is `application/problem+json` with a `code`. What the Hub refuses keeps the Hub's status, words and
`X-Error-Code`; what goes wrong on the way to it is 502 or 504. A write is sent to the Hub once and never repeated:
after `HubBroke`, `HubSlow` and `HubFailed` it may have happened."""
