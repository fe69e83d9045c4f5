"""The account behind a token, and the end of tokens that leaked."""

from aiohttp import web

from hfproxy.upstream.documents import read_object

from ..answers import json_answer, text_answer
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


@routes.post("/api/credentials/revoke")
async def revoke_credentials(call: Call) -> web.StreamResponse:
    """Ends tokens; who holds one may. The answer is always the same, so that nobody learns which there were.

    Sources: contract section 1.1; the Hub's OpenAPI, `/api/credentials/revoke`, for the body.
    """
    secrets = read_object(await call.body()).get("credentials")
    if isinstance(secrets, list):
        call.hub.accounts.revoke(secret for secret in secrets if isinstance(secret, str))
    return text_answer("", status=202)
