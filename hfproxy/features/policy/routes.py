"""The policy over HTTP."""

from typing import Final

from aiohttp import web

from hfproxy.downstream.access import Role
from hfproxy.downstream.endpoint import endpoint
from hfproxy.errors import BadFields, UpstreamError
from hfproxy.features.policy.asked import answer_of, asked_in
from hfproxy.features.policy.loading import PolicyFile
from hfproxy.features.policy.service import Policy
from hfproxy.features.policy.wire import PolicyAnswer, PolicyQuestion, PolicyState
from hfproxy.keys import ACTING
from hfproxy.upstream.refs import BadReference

POLICY: Final = web.AppKey("policy", Policy)
POLICY_FILE: Final = web.AppKey("policy_file", PolicyFile)
routes = web.RouteTableDef()


@routes.get("/-/policy")
@endpoint(role=Role.ADMIN)
async def show_policy(request: web.Request) -> PolicyState:
    """Show the rules that hold, and what is wrong with their file.

    A file that cannot be used changes nothing: the rules before it hold, and `problems` says what to mend.
    """
    policy, file = request.app[POLICY], request.app[POLICY_FILE]
    rules = policy.rules.rules if policy.rules is not None else ()
    return PolicyState(
        file=str(file.path) if file.path is not None else None,
        loaded_at=file.loaded_at,
        problems=file.problems,
        rules=[rule.model_dump(mode="json", exclude_none=True) for rule in rules],
    )


@routes.get("/-/policy/explain")
@endpoint(role=Role.ADMIN, raises=(BadFields, UpstreamError))
async def explain_policy(request: web.Request, query: PolicyQuestion) -> PolicyAnswer:
    """Explain which rule decides about a call, rule by rule.

    Nothing is done; where a rule hangs on the licence and none is given, the Hub is asked for it.
    """
    try:
        asked, ref = asked_in(query)
    except BadReference as error:
        raise BadFields(f"repo: {error}", errors=[{"field": "repo", "message": str(error)}]) from None
    return answer_of(await request.app[POLICY].explain(asked, ref, request[ACTING]), asked)
