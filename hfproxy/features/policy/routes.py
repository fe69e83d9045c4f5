"""The policy over HTTP."""

from typing import Final

from aiohttp import web

from hfproxy.features.policy.service import Policy

POLICY: Final = web.AppKey("policy", Policy)
