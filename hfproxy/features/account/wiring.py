"""Puts the account's routes into the application."""

from aiohttp import web

from hfproxy.downstream.endpoint import add_endpoints
from hfproxy.features.account.routes import routes


def setup(app: web.Application) -> None:
    add_endpoints(app, routes)
