"""Certificates and keys in files, read with care: whatever is wrong with them is one readable line.

Used for both directions: the certificate we serve with, and the one we show to a Hub that asks for it.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from hfproxy.starting import CannotStart

if TYPE_CHECKING:  # imported by those who read a certificate: most servers have none, and it slows a start down
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes


class BadCertificate(CannotStart):
    """A certificate or key that cannot be used; the text says which file, and why."""


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """A certificate chain (leaf first) and its private key, both PEM; they may be the same file."""

    certificate: Path
    key: Path

    def read(self, *, now: datetime | None = None) -> x509.Certificate:
        """The leaf, if it and the key can be used now. Raises BadCertificate."""
        leaf = read_certificates(self.certificate)[0]
        if _public(leaf.public_key()) != _public(_read_key(self.key).public_key()):
            raise BadCertificate(f"{self.key} is not the key of {self.certificate}")
        now = now or datetime.now(UTC)
        if now < leaf.not_valid_before_utc:
            raise BadCertificate(
                f"{self.certificate} is not valid before {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
            )
        if now > leaf.not_valid_after_utc:
            raise BadCertificate(f"{self.certificate} expired on {leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")
        return leaf

    def load_into(self, context: ssl.SSLContext) -> None:
        """Makes the context show this certificate. Raises BadCertificate."""
        self.read()
        try:
            # Without a password OpenSSL would ask for one on the terminal; `read` has refused such keys already.
            context.load_cert_chain(self.certificate, self.key, password="")
        except OSError as error:
            raise BadCertificate(f"{self.certificate}: {getattr(error, 'reason', None) or error.strerror}") from None

    def state(self) -> tuple[tuple[int, int, int], ...]:
        """Something that is different after the files were written or exchanged. Raises OSError."""
        return tuple(
            (found.st_mtime_ns, found.st_ino, found.st_size) for found in (self.certificate.stat(), self.key.stat())
        )


def certificate_files(certificate: Path | None, key: Path | None) -> CertificateFiles | None:
    """The two settings as one thing: None without either; without a key of its own the certificate's file holds it."""
    if certificate is None:
        if key is not None:
            raise BadCertificate(f"{key} is a key without a certificate: set both")
        return None
    return CertificateFiles(certificate, key or certificate)


def read_certificates(path: Path) -> list[x509.Certificate]:
    """All certificates of a PEM file, at least one. Raises BadCertificate."""
    from cryptography import x509

    pem = _read(path)
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise BadCertificate(f"{path} holds no certificate in PEM form") from None


def _read_key(path: Path) -> PrivateKeyTypes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    pem = _read(path)
    try:
        return load_pem_private_key(pem, password=None)
    except TypeError:
        raise BadCertificate(
            f"{path} is encrypted; write it without a password: openssl pkey -in {path} -out …"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise BadCertificate(f"{path} holds no private key in PEM form") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadCertificate(f"cannot read {path}: {error.strerror}") from None


def _public(key: PublicKeyTypes) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
