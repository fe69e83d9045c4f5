"""What the Hub answers when it does not do as asked: one exception per answer of the contract's table.

    Refusal                 status, message, X-Error-Code
    ├── NotLoggedIn         401  nobody, or a token that the Hub does not know
    ├── RepoMissing         404  RepoNotFound
    ├── GateClosed          401 or 403  GatedRepo
    ├── RevisionMissing     404  RevisionNotFound
    ├── EntryMissing        404  EntryNotFound, with the commit it is missing from
    ├── Forbidden           403
    ├── BadRequest          400
    ├── Conflict            409
    └── Moved               307  the repository has another name now

Handlers raise them; `answers.py` prints them as JSON, text or HTML by the kind of path.
"""

from collections.abc import Mapping
from typing import Any

from hfproxy.upstream import headers

NOT_LOGGED_IN = "Invalid username or password."
BAD_TOKEN = "Invalid credentials in Authorization header"  # noqa: S105 - a message
CHALLENGE = 'Bearer realm="Authentication required", charset="UTF-8"'


class Refusal(Exception):
    """One answer other than success; `facts` become members of a JSON body beside `error`."""

    status = 400
    code: str | None = None

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
        **facts: Any,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status or self.status
        self.code = code or self.code
        self.headers = dict(headers or {})
        self.facts = facts


class NotLoggedIn(Refusal):
    """Nobody, where somebody is needed: the Hub does not tell whether the thing exists."""

    status = 401

    def __init__(self, message: str = NOT_LOGGED_IN) -> None:
        super().__init__(message, headers={"WWW-Authenticate": CHALLENGE})


class RepoMissing(Refusal):
    """No such repository, or none that this caller may know of."""

    status = 404
    code = "RepoNotFound"

    def __init__(self, message: str = "Repository not found") -> None:
        super().__init__(message)


class GateClosed(Refusal):
    """The repository is gated and this caller has not been let in."""

    status = 403
    code = "GatedRepo"


class RevisionMissing(Refusal):
    """No branch, tag, ref or commit of that name."""

    status = 404
    code = "RevisionNotFound"

    def __init__(self, revision: str) -> None:
        super().__init__(f"Invalid rev id: {revision}")


class EntryMissing(Refusal):
    """No such file or folder in this commit; clients remember the absence under the commit they are told."""

    status = 404
    code = "EntryNotFound"

    def __init__(self, commit_hash: str, message: str = "Entry not found") -> None:
        super().__init__(message, headers={headers.REPO_COMMIT: commit_hash})


class Forbidden(Refusal):
    """Known, and not allowed."""

    status = 403

    def __init__(
        self, message: str = "You have read access but not the required permissions for this operation"
    ) -> None:
        super().__init__(message)


class BadRequest(Refusal):
    """The request itself is wrong."""


class Conflict(Refusal):
    """What should be made is already there."""

    status = 409


class Moved(Refusal):
    """The same path under the repository's new name."""

    status = 307

    def __init__(self, location: str) -> None:
        super().__init__(f"Temporary Redirect. Redirecting to {location}", headers={"Location": location})
