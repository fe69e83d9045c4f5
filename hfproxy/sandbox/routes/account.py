"""The account behind a token."""

from aiohttp import web

from ..answers import json_answer
from ..call import Call
from ..routing import Routes
from ..whoami import whoami

routes = Routes()


@routes.get("/api/whoami-v2")
async def who_am_i(call: Call) -> web.StreamResponse:
    call.hub.rights.check_logged_in(call.caller)
    return json_answer(whoami(call.caller, call.hub.accounts))


@routes.get("/api/agent-harnesses")
async def agent_harnesses(call: Call) -> web.StreamResponse:
    """The registry of coding agents, which clients ask for before anything else: empty."""
    return json_answer({"standardEnvVars": [], "harnesses": {}})
