"""Asking for and giving access to a gated repository.

Sources: contract section 2.6; `huggingface_hub` `hf_api.py`, the access-request methods.
"""

from typing import Any, get_args

from aiohttp import web

from ..answers import json_answer, text_answer
from ..call import Call
from ..refusals import BadRequest, Conflict, Refusal
from ..repository import AccessRequest, Repository, RequestStatus
from ..routing import Routes
from ..whoami import iso

routes = Routes()


@routes.post("/{web}/{repo}/ask-access", "/api/{types}/{repo}/user-access-request")
async def ask_access(call: Call) -> web.StreamResponse:
    """A form or JSON whose fields the authors get to see; `auto` gates open at once."""
    account = call.hub.rights.check_logged_in(call.caller)
    repo = call.visible_repo()
    _check_gated(repo)
    if repo.access_of(account.name):
        raise Conflict("You have already asked for access to this repository")
    fields = {key: value if isinstance(value, str) else str(value[0]) for key, value in (await _form(call)).items()}
    status: RequestStatus = "accepted" if repo.record.gated == "auto" else "pending"
    _add(call, repo, AccessRequest(user=account.name, status=status, asked_at=call.hub.now(), fields=fields))
    return text_answer("OK")


@routes.get("/api/{types}/{repo}/user-access-request/{status}")
async def access_requests(call: Call) -> web.StreamResponse:
    repo = call.writable_repo()
    _check_gated(repo)
    status = _status(call.params["status"])
    return json_answer([_told(call, asked) for asked in repo.record.access_requests if asked.status == status])


@routes.post("/api/{types}/{repo}/user-access-request/handle")
async def handle(call: Call) -> web.StreamResponse:
    repo = call.writable_repo()
    _check_gated(repo)
    fields = await call.json()
    status = _status(fields.get("status"))
    asked = _find(repo, fields)
    if asked.status == status:
        raise Refusal(f"The access request is already {status}", status=404)
    asked.status = status
    asked.reason = fields.get("rejectionReason")
    call.hub.keep(repo)
    return json_answer(_told(call, asked))


@routes.post("/api/{types}/{repo}/user-access-request/cancel")
async def cancel(call: Call) -> web.StreamResponse:
    """Somebody takes their own request back."""
    account = call.hub.rights.check_logged_in(call.caller)
    repo = call.visible_repo()
    asked = _find(repo, {"user": account.name})
    repo.record.access_requests = [each for each in repo.record.access_requests if each is not asked]
    call.hub.keep(repo)
    return text_answer("OK")


@routes.post("/api/{types}/{repo}/user-access-request/grant")
async def grant(call: Call) -> web.StreamResponse:
    """Let somebody in who has not asked; their address is then not told."""
    repo = call.writable_repo()
    _check_gated(repo)
    user = call.hub.accounts.named(str((await call.json()).get("user")))
    if user is None or user.kind != "user":
        raise Refusal("User not found", status=404)
    if repo.access_of(user.name) == "accepted":
        raise BadRequest("The user already has access to this repository")
    kept = [each for each in repo.record.access_requests if each.user != user.name]
    repo.record.access_requests = kept
    granted = AccessRequest(
        user=user.name, status="accepted", asked_at=call.hub.now(), granted_by=call.caller.name or ""
    )
    _add(call, repo, granted)
    return json_answer(_told(call, granted))


def _status(text: Any) -> RequestStatus:
    if text not in get_args(RequestStatus):
        raise BadRequest(f'"status" must be one of [{", ".join(get_args(RequestStatus))}]')
    status: RequestStatus = text
    return status


def _add(call: Call, repo: Repository, asked: AccessRequest) -> None:
    repo.record.access_requests = [*repo.record.access_requests, asked]
    call.hub.keep(repo)


def _find(repo: Repository, fields: dict[str, Any]) -> AccessRequest:
    """The request of a user or of an id. Raises Refusal."""
    for asked in repo.record.access_requests:
        if asked.request_id == fields.get("requestId") or asked.user == fields.get("user"):
            return asked
    raise Refusal("Access request not found", status=404)


def _check_gated(repo: Repository) -> None:
    """Raises BadRequest with the code that the Hub gives it (contract section 1.3)."""
    if not repo.record.gated:
        raise BadRequest("Repo is not gated", code="RepoNotGated")


def _told(call: Call, asked: AccessRequest) -> dict[str, Any]:
    account = call.hub.accounts.named(asked.user)
    user: dict[str, Any] = {"user": asked.user, "type": "user"}
    if account:
        user |= {"_id": account.account_id, "fullname": account.fullname, "avatarUrl": account.avatar_url}
        user |= {"email": account.email} if account.email and not asked.granted_by else {}
    told: dict[str, Any] = {
        "requestId": asked.request_id,
        "user": user,
        "status": asked.status,
        "timestamp": iso(asked.asked_at),
    }
    told |= {"fields": asked.fields} if asked.fields else {}
    told |= {"grantedBy": {"user": asked.granted_by}} if asked.granted_by else {}
    return told


async def _form(call: Call) -> dict[str, Any]:
    if call.request.content_type == "multipart/form-data":
        return {key: str(value) for key, value in (await call.request.post()).items()}
    return await call.form_or_json()
