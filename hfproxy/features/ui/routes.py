"""The pages over HTTP."""

from collections.abc import Mapping
from typing import Final

from aiohttp import web
from pydantic import Field

from hfproxy import __version__
from hfproxy.downstream.access import Role
from hfproxy.downstream.endpoint import WireModel, endpoint
from hfproxy.errors import NotFound
from hfproxy.features.ui.assets import Asset
from hfproxy.keys import SETTINGS

ASSETS: Final = web.AppKey("assets", Mapping[str, Asset])
routes = web.RouteTableDef()

# Our own pages hold no script and no style of their own and load everything from this server. The pages are never
# put into a frame, so that nobody is led to click on «delete» unseen.
_POLICY: Final = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            "connect-src 'self'",
            "form-action 'none'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    ),
}


class Home(WireModel):
    """What is served here."""

    name: str = Field(examples=["hfproxy"])
    version: str
    upstream: str = Field(description="The Hub that this gateway speaks to", examples=["https://huggingface.co"])
    links: dict[str, str] = Field(description="Where to go on, relative to this address")


class AssetPath(WireModel):
    """Which file of a page."""

    name: str = Field(pattern=r"^[a-z0-9/._-]+$", examples=["home/home.css"])


@routes.get("/")
@endpoint(role=Role.NONE, produces="text/html")
async def show_home(request: web.Request) -> Home | web.Response:
    """Show what this is: a page to browsers, JSON to programs."""
    if "text/html" in request.headers.get("Accept", ""):
        return request.app[ASSETS]["home/index.html"].answer(request, {**_POLICY, "Vary": "Accept, Accept-Encoding"})
    return Home(
        name="hfproxy",
        version=__version__,
        upstream=request.app[SETTINGS].upstream.endpoint,
        links={
            "account": "api/account",
            "repositories": "api/repo",
            "docs": "docs/",
            "openapi": "-/openapi.json",
            "ready": "-/ready",
        },
    )


@routes.get("/docs/")
@endpoint(role=Role.NONE, produces="text/html")
async def show_docs(request: web.Request) -> web.Response:
    """Show the API as a page on which its calls can be tried."""
    return request.app[ASSETS]["docs/index.html"].answer(request, _POLICY)


@routes.get("/-/ui/{name:.+}")
@endpoint(role=Role.NONE, raises=(NotFound,), produces="*/*")
async def show_asset(request: web.Request, path: AssetPath) -> web.Response:
    """Send a file that a page is made of."""
    asset = request.app[ASSETS].get(path.name)
    if asset is None:
        raise NotFound
    return asset.answer(request)


async def lead_to_docs(request: web.Request) -> web.Response:
    """`/docs` as people type it: the page's relative addresses need the slash, also behind a path prefix."""
    return web.Response(status=308, headers={"Location": "docs/"})
