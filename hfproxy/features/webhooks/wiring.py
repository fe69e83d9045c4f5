"""Puts the address for the Hub's webhooks into the application."""

from aiohttp import web

from hfproxy.downstream.endpoint import add_endpoints
from hfproxy.features.access.attempts import FailedAttempts
from hfproxy.features.webhooks.routes import WEBHOOK_DOOR, routes
from hfproxy.features.webhooks.service import WebhookDoor
from hfproxy.keys import SETTINGS


def setup(app: web.Application) -> None:
    settings = app[SETTINGS]
    secret = settings.upstream.webhook_secret
    app[WEBHOOK_DOOR] = WebhookDoor(
        secret.get_secret_value() if secret is not None else None,
        attempts=FailedAttempts(settings.access.failed_attempts),
    )
    add_endpoints(app, routes)
