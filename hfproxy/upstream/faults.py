"""What went wrong upstream, as our errors: the only way in."""

import asyncio
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import aiohttp
from pydantic_core import from_json

from hfproxy.errors import (
    CallerTokenRejected,
    HubBroke,
    HubFailed,
    HubMisspoke,
    HubRefused,
    HubSlow,
    HubTokenMissing,
    HubTokenRejected,
    HubUnreachable,
    HubUntrusted,
    UpstreamError,
)
from hfproxy.upstream.credentials import Credential
from hfproxy.upstream.headers import ERROR_CODE, ERROR_MESSAGE, told_on_errors
from hfproxy.upstream.once import Unanswered

_MAX_DETAIL_LENGTH = 2000
# openssl/x509_vfy.h: self-signed leaf, self-signed in the chain, no issuer found (two kinds)
_UNKNOWN_AUTHORITY = frozenset({18, 19, 20, 21})
# The Hub answers 401 without a code to a bad token and to none alike (contract 1.2): what was sent tells them apart.
_UNAUTHENTICATED: dict[str, type[HubRefused]] = {
    "gateway": HubTokenRejected,
    "caller": CallerTokenRejected,
    "nobody": HubTokenMissing,
}


@contextmanager
def network_faults(asked: str) -> Iterator[None]:
    """Turns what aiohttp raises into UpstreamError. `asked` names the call, without its query: `GET /api/whoami-v2`."""
    try:
        yield
    except aiohttp.ClientConnectorCertificateError as error:
        raise HubUntrusted(f"{error.host}: {_distrust(error.certificate_error)}", asked=asked) from error
    except (aiohttp.ClientSSLError, ssl.SSLError) as error:
        raise HubUnreachable(f"no TLS connection: {_tls_reason(error)}", asked=asked) from error
    except aiohttp.ConnectionTimeoutError as error:
        raise HubSlow("no connection in time", asked=asked) from error
    except TimeoutError as error:
        raise HubSlow(asked=asked) from error
    except aiohttp.ClientConnectorDNSError as error:
        raise HubUnreachable(f"the name {error.host} does not resolve", asked=asked) from error
    except aiohttp.ClientProxyConnectionError as error:
        raise HubUnreachable(
            f"the proxy on the way, {error.host}:{error.port}: {error.strerror or error.os_error}", asked=asked
        ) from error
    except aiohttp.ClientConnectorError as error:
        if isinstance(error.os_error, ConnectionAbortedError):  # asyncio's word for it (`sslproto.py`)
            raise HubSlow("no TLS handshake in time", asked=asked) from error
        reason = error.strerror or str(error.os_error) or "hung up during the TLS handshake"
        raise HubUnreachable(f"{error.host}:{error.port}: {reason}", asked=asked) from error
    except aiohttp.ClientHttpProxyError as error:
        raise HubUnreachable(f"the proxy on the way answers {error.status} {error.message}", asked=asked) from error
    except aiohttp.ServerDisconnectedError as error:
        raise HubBroke("the connection was closed without an answer", asked=asked) from error
    except Unanswered as error:
        closed = isinstance(error.__cause__, aiohttp.ServerDisconnectedError)
        how = "closed without an answer" if closed else "reset"
        raise HubBroke(f"the connection was {how}", asked=asked) from error
    except aiohttp.ClientPayloadError as error:
        raise HubBroke("the answer ended before it was whole", asked=asked) from error
    except (aiohttp.ClientOSError, ConnectionError, asyncio.IncompleteReadError) as error:
        if isinstance(error.__cause__, ssl.SSLError):
            raise _ended_by_tls(error.__cause__, asked) from error
        raise HubBroke("the connection was reset", asked=asked) from error
    except aiohttp.ClientResponseError as error:
        raise HubMisspoke(f"not an HTTP answer: {error.message.splitlines()[0]}", asked=asked) from error
    except aiohttp.ClientError as error:
        raise UpstreamError(type(error).__name__, asked=asked) from error


def refusal(
    status: int, headers: Mapping[str, str], body: bytes, *, asked: str, credential: Credential
) -> UpstreamError:
    """The error for an answer of 400 or more."""
    detail = _detail(headers, body) or f"the Hub answered {status}"
    told = told_on_errors(headers)
    if status >= 500:
        return HubFailed(detail, hub_status=status, headers=told, asked=asked)
    hub_code = headers.get(ERROR_CODE)
    kind = _UNAUTHENTICATED[credential.owner] if status == 401 and hub_code is None else HubRefused
    return kind(detail, status=status, hub_code=hub_code, headers=told, asked=asked, **_facts(body))


def _detail(headers: Mapping[str, str], body: bytes) -> str:
    """The Hub's own words, as `huggingface_hub` collects them (`utils/_http.py`, `_format`)."""
    if message := headers.get(ERROR_MESSAGE):
        return message
    answer = _json_object(body)
    error = answer.get("error")
    if isinstance(error, str):
        return error
    if isinstance(error, list):
        return "\n".join(str(part) for part in error)
    if isinstance(errors := answer.get("errors"), list):
        return "\n".join(str(part.get("message", part)) if isinstance(part, dict) else str(part) for part in errors)
    text = body.decode(errors="replace").strip()
    return "" if answer or text.startswith("<") else text[:_MAX_DETAIL_LENGTH]


def _facts(body: bytes) -> dict[str, object]:
    """What the Hub's 409 says beside its text: the address of what is there already (contract 2.1)."""
    url = _json_object(body).get("url")
    return {"url": url} if isinstance(url, str) else {}


def _json_object(body: bytes) -> dict[str, object]:
    try:
        answer = from_json(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _distrust(error: Exception) -> str:
    """Why a certificate is not trusted, in OpenSSL's words, and what the operator may do about a private authority."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return str(error)
    reason = error.verify_message.rstrip(".")
    if error.verify_code in _UNKNOWN_AUTHORITY:
        return f"{reason} (a private authority has to be named in HFPROXY_UPSTREAM__CA)"
    return reason


def _ended_by_tls(error: ssl.SSLError, asked: str) -> UpstreamError:
    """An alert after the handshake: with TLS 1.3 the first moment at which a server can miss our certificate."""
    if "CERTIFICATE_REQUIRED" in (error.reason or ""):
        return HubUnreachable("it asks for a certificate of ours (HFPROXY_UPSTREAM__CLIENT_CERTIFICATE)", asked=asked)
    return HubBroke(f"the connection was ended: {_tls_reason(error)}", asked=asked)


def _tls_reason(error: Exception) -> str:
    """`[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)` as `wrong version number`."""
    cause = getattr(error, "os_error", error)
    reason = (getattr(cause, "reason", None) or str(cause)).replace("_", " ").lower()
    if reason in {"wrong version number", "record layer failure", "packet length too long"}:
        return f"{reason} (does the other side speak plain HTTP?)"
    return reason
