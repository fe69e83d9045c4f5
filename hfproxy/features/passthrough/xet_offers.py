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
    if (known := offers_to_everybody(request.app)) is not None:
        return known
    try:
        # As for the token itself: a xorb is of no one file.
        allowed = await request.app[POLICY].allows(
            request[CALLER], Action.READ, repo, credential=request[ACTING], file=ANY
        )
    except UpstreamError:
        return XetOffers.NONE
    return _offers_of_the_mode(request.app) if allowed else XetOffers.NONE


def offers_to_everybody(app: web.Application) -> XetOffers | None:
    """The same where it hangs on no caller and no repository; None where there are rules."""
    last = app[SIGHTINGS].last
    if app[SETTINGS].files.offline or (last is not None and last.error is not None):
        return XetOffers.NONE
    return _offers_of_the_mode(app) if app[POLICY].rules is None else None


def _offers_of_the_mode(app: web.Application) -> XetOffers:
    return XetOffers.LARGE if app[SETTINGS].xet.mode == "http" else XetOffers.ALL
