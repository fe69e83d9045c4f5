"""The switches for trouble while the sandbox runs: `/-/trouble`, which no trouble ever meets.

GET       what there is, and how often it struck
POST      one more: a line of text, or JSON
PUT       these and no others: lines of text, or a JSON list
DELETE    the end of all, or of `/-/trouble/{id}`
"""

import json

from aiohttp import web

from ..answers import json_answer
from ..call import Call
from ..routing import Routes
from ..trouble import Trouble

routes = Routes()


@routes.get("/-/trouble")
async def tell(call: Call) -> web.StreamResponse:
    return json_answer({"troubles": [armed.told() for armed in call.hub.troubles]})


@routes.post("/-/trouble")
async def add(call: Call) -> web.StreamResponse:
    try:
        [trouble] = await _given(call)
    except ValueError as error:
        return json_answer({"error": str(error)}, status=400)
    return json_answer(call.hub.troubles.add(trouble).told(), status=201)


@routes.put("/-/trouble")
async def replace(call: Call) -> web.StreamResponse:
    try:
        call.hub.troubles.replace(await _given(call))
    except ValueError as error:
        return json_answer({"error": str(error)}, status=400)
    return await tell(call)


@routes.delete("/-/trouble")
async def clear(call: Call) -> web.StreamResponse:
    call.hub.troubles.clear()
    return await tell(call)


@routes.delete("/-/trouble/{id}")
async def remove(call: Call) -> web.StreamResponse:
    if not call.params["id"].isdecimal() or not call.hub.troubles.remove(int(call.params["id"])):
        return json_answer({"error": "No such trouble"}, status=404)
    return await tell(call)


async def _given(call: Call) -> list[Trouble]:
    """The troubles of a body: JSON where it looks so, else a line each. Raises ValueError, BadTrouble among them."""
    text = (await call.body()).decode(errors="replace").strip()
    if not text.startswith(("[", "{")):
        return [Trouble.parse(line) for line in text.splitlines() if line.strip()]
    said = json.loads(text)
    listed = said.get("troubles", [said]) if isinstance(said, dict) else said
    if not isinstance(listed, list):
        raise ValueError('"troubles" must be a list')
    return [Trouble.parse(one) if isinstance(one, str) else Trouble.of(one) for one in listed]
