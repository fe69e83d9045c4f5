"""Loads the pages' files and puts their routes into the application."""

from aiohttp import web

from hfproxy.downstream.endpoint import add_endpoints
from hfproxy.downstream.expecting import say_continue
from hfproxy.features.ui.assets import load_assets
from hfproxy.features.ui.routes import ASSETS, lead_to_docs, routes


def setup(app: web.Application) -> None:
    app[ASSETS] = load_assets()
    add_endpoints(app, routes)
    app.router.add_get("/docs", lead_to_docs, expect_handler=say_continue)
