"""Small services that clients call beside the repositories.

Sources: contract sections 6.2 and 7.
"""

from typing import Any

from aiohttp import web

from ..answers import json_answer, text_answer
from ..call import Call, first_of_each
from ..cards import LICENSES, BadCard, front_matter
from ..refusals import BadRequest
from ..routing import Routes

routes = Routes()

_EMPTY = "empty or missing yaml metadata in repo card"


@routes.post("/api/validate-yaml")
async def validate_yaml(call: Call) -> web.StreamResponse:
    """What is wrong with a card; JSON unless text is asked for, since clients read it before the status.

    `RepoCard.validate` of 0.x sends a form.
    """
    fields = first_of_each(await call.form_or_json())
    content = fields.get("content")
    if not isinstance(content, str):
        raise BadRequest('"content" is required')
    warnings: list[dict[str, Any]] = []
    try:
        card = front_matter(content)
        errors = [{"message": message} for message in _mistakes(card or {})]
    except BadCard as error:
        card, errors = {"": ""}, [{"message": f"YAML Metadata Error: {error}"}]
    if not card:
        warnings.append({"message": f"YAML Metadata Warning: {_EMPTY}"})
    status = 400 if errors else 200
    if call.request.headers.get("Accept") == "text/plain":
        # As `RepoCard.validate` asks for it and shows it (`huggingface_hub` `repocard.py`).
        said = [f"- Error: {each['message']}" for each in errors] + [
            f"- Warning: {each['message']}" for each in warnings
        ]
        return text_answer("\n".join(said), status=status)
    return json_answer({"errors": errors, "warnings": warnings}, status=status)


@routes.head("/api/telemetry/{topic:rest}")
async def telemetry(call: Call) -> web.StreamResponse:
    return text_answer("")


@routes.get("/api/tasks")
async def tasks(call: Call) -> web.StreamResponse:
    return json_answer({})


def _mistakes(card: dict[str, Any]) -> list[str]:
    found = []
    if card.get("model-index") is not None and not isinstance(card["model-index"], list):
        found.append('"model-index" must be an array')
    found += [
        f'"license" must be one of [{", ".join(sorted(LICENSES))}]'
        for name in _listed(card.get("license"))
        if name not in LICENSES
    ]
    found += [
        f'"{name}" must be a string'
        for name in ("library_name", "pipeline_tag")
        if not isinstance(card.get(name), str | type(None))
    ]
    if not isinstance(card.get("tags"), list | str | type(None)):
        found.append('"tags" must be an array')
    return found


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
