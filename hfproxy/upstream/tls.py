"""Whom we trust on the way to the Hub, and what we show to it."""

import ssl
from pathlib import Path

import certifi

from hfproxy.certificates import BadCertificate, certificate_files
from hfproxy.settings import UpstreamSettings

_PEM = b"-----BEGIN CERTIFICATE-----"


def hub_trust(settings: UpstreamSettings) -> ssl.SSLContext:
    """TLS 1.2 or newer, checked against certifi's bundle and, beside it, the user's authorities.

    Where the Hub asks for a certificate, it is shown the client's. Raises BadCertificate.

    Built by hand rather than by `ssl.create_default_context`, which from Python 3.13 on refuses authorities with
    formal faults (VERIFY_X509_STRICT): corporate ones often have them, and every Python should decide alike.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Whoever names an intermediate authority trusts it, whether or not the root above it is here too.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cafile=certifi.where())
    if settings.ca is not None:
        for path in _authority_files(settings.ca):
            _trust(context, path)
    client = certificate_files(settings.client_certificate, settings.client_key)
    if client is not None:
        client.load_into(context)
    return context


def _trust(context: ssl.SSLContext, path: Path) -> None:
    """Adds a file's authorities. Read by OpenSSL alone: old bundles hold certificates that stricter readers refuse."""
    try:
        context.load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise BadCertificate(f"{path} holds no certificate in PEM form") from None
    except OSError as error:
        raise BadCertificate(f"cannot read {path}: {error.strerror}") from None


def _authority_files(ca: Path) -> list[Path]:
    """The file itself, or the folder's files that hold a certificate."""
    if not ca.is_dir():
        return [ca]
    try:
        found = [path for path in sorted(ca.iterdir()) if path.is_file() and _PEM in path.read_bytes()]
    except OSError as error:
        raise BadCertificate(f"cannot read {ca}: {error.strerror}") from None
    if not found:
        raise BadCertificate(f"no file in {ca} holds a certificate in PEM form")
    return found
