"""Codes that the Hub leaves out and clients behind a gateway need."""

from collections.abc import Mapping

from hfproxy.upstream.calls import Kind
from hfproxy.upstream.headers import ERROR_CODE, ERROR_MESSAGE
from hfproxy.upstream.routes import Route

_REJECTED_TOKEN = "Invalid credentials in Authorization header"  # noqa: S105 - a text of the Hub


def lacks_repo_code(status: int, headers: Mapping[str, str], route: Route, *, token_sent: bool) -> bool:
    """Whether a bare 401 of the Hub means that there is no such repository for this caller.

    `huggingface_hub` guesses so by itself, but only at an https address without a path prefix (contract 1.3; hub client
    2.4, rule 11). With a token sent it is the token that was rejected, and saying otherwise would send the user
    looking for a repository.
    """
    return (
        status == 401
        and not token_sent
        and ERROR_CODE not in headers
        and headers.get(ERROR_MESSAGE) != _REJECTED_TOKEN
        and route.repo is not None
        and not route.is_git
        and route.kind is not Kind.RESOLVE_CACHE
    )
