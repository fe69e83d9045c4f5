"""The audit trail over HTTP."""

from typing import Final

from aiohttp import web

from hfproxy.downstream.access import Role
from hfproxy.downstream.endpoint import endpoint
from hfproxy.errors import StorageUnavailable
from hfproxy.features.audit.models import AuditPage, AuditQuery
from hfproxy.features.audit.service import AuditTrail

AUDIT: Final = web.AppKey("audit", AuditTrail)
routes = web.RouteTableDef()


@routes.get("/-/audit")
@endpoint(role=Role.ADMIN, raises=(StorageUnavailable,))
async def show_audit_trail(request: web.Request, query: AuditQuery) -> AuditPage:
    """Show who wrote what, when, and what came of it.

    The newest come first. Every write is kept before it is sent to the Hub, and its outcome after.
    """
    return await request.app[AUDIT].page(query)
