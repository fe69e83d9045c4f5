"""Who is offered files by Xet: nobody who would get no token for it, as clients do not fall back (contract 5.1)."""

from aiohttp import web

from hfproxy.downstream.access import CALLER
from hfproxy.errors import UpstreamError
from hfproxy.features.policy.matching import ANY
from hfproxy.features.policy.models import Action
from hfproxy.features.policy.routes import POLICY
from hfproxy.keys import ACTING, SETTINGS, SIGHTINGS
from hfproxy.upstream.refs import RepoRef
from hfproxy.upstream.xet import XetOffers


async def offers_of_xet(request: web.Request, repo: RepoRef) -> XetOffers:
    """Which files of a repository this caller is offered by Xet: those that the mode says, if a token can be had."""
    settings, last = request.app[SETTINGS], request.app[SIGHTINGS].last
    if settings.files.offline or (last is not None and last.error is not None):
        return XetOffers.NONE
    try:
        # As for the token itself: a xorb is of no one file.
        allowed = await request.app[POLICY].allows(
            request[CALLER], Action.READ, repo, credential=request[ACTING], file=ANY
        )
    except UpstreamError:
        return XetOffers.NONE
    if not allowed:
        return XetOffers.NONE
    return XetOffers.LARGE if settings.xet.mode == "http" else XetOffers.ALL
