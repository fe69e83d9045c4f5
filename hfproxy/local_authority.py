"""A certificate for this machine, signed by an authority that exists only here.

A bare self-signed certificate would do for Python, but not for `hf_xet`, which wants a leaf below an authority, nor
should anybody click it away in a browser: the authority is trusted once, the leaf may be renewed.
"""

import os
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hfproxy.certificates import read_certificates

_AUTHORITY_DAYS = 3650
# Apple's systems refuse leaves that are valid for longer than 825 days, even below a user's own authority.
_LEAF_DAYS = 397
_ORGANISATION = "hfproxy local authority"


class NotOurs(Exception):
    """A file is in the way that this program did not make."""


@dataclass(frozen=True, slots=True)
class MadeCertificate:
    """What is in the folder now."""

    folder: Path
    names: list[str]
    valid_until: datetime
    new_authority: bool

    @property
    def authority(self) -> Path:
        return self.folder / "ca.pem"


def make_certificate(folder: Path, names: list[str], *, now: datetime | None = None) -> MadeCertificate:
    """A new `cert.pem` and `key.pem` in the folder, below its authority (`ca.pem`), which is made if it is not there.

    names: to be reached by beside localhost, the loopback addresses, this machine's name, and the names of the
    certificate before. Raises NotOurs rather than overwrite what it did not make, BadCertificate for a file that cannot
    be read.
    """
    now = now or datetime.now(UTC)
    folder.mkdir(parents=True, exist_ok=True)
    authority = _kept_authority(folder, now)
    _refuse_what_is_not_ours(folder, authority)
    new_authority = authority is None
    if authority is None:
        authority = _make_authority(folder, now)
    kept_names = _names_of(folder / "cert.pem")
    all_names = list(dict.fromkeys(["localhost", "127.0.0.1", "::1", *_machine_names(), *kept_names, *names]))
    leaf = _make_leaf(folder, authority, all_names, now)
    return MadeCertificate(folder, all_names, leaf.not_valid_after_utc, new_authority)


@dataclass(frozen=True, slots=True)
class _Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def _kept_authority(folder: Path, now: datetime) -> _Authority | None:
    """The folder's authority if it can sign a leaf's whole life, None if there is none or it is too old."""
    certificate_path, key_path = folder / "ca.pem", folder / "ca-key.pem"
    if not certificate_path.exists() and not key_path.exists():
        return None
    certificate = read_certificates(certificate_path)[0]
    if not _is_ours(certificate) or not key_path.exists():
        raise NotOurs(f"{certificate_path} was not made here, or its key {key_path} is gone: move it away first")
    key = load_pem_private_key(key_path.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise NotOurs(f"{key_path} is not the key of {certificate_path}: move them away first")
    if certificate.not_valid_after_utc < now + timedelta(days=_LEAF_DAYS):
        return None
    return _Authority(certificate, key)


def _refuse_what_is_not_ours(folder: Path, authority: _Authority | None) -> None:
    certificate_path, key_path = folder / "cert.pem", folder / "key.pem"
    if certificate_path.exists():
        leaf = read_certificates(certificate_path)[0]
        if not _is_ours(leaf) or (authority is not None and not _signed_by(leaf, authority.certificate)):
            raise NotOurs(f"{certificate_path} was not made here: move it and {key_path} away first")
    elif key_path.exists():
        raise NotOurs(f"{key_path} is there without {certificate_path}: move it away first")


def _names_of(certificate_path: Path) -> list[str]:
    if not certificate_path.exists():
        return []
    leaf = read_certificates(certificate_path)[0]
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name) for kind in (x509.DNSName, x509.IPAddress) for name in names.get_values_for_type(kind)]


def _is_ours(certificate: x509.Certificate) -> bool:
    return any(
        attribute.value == _ORGANISATION
        for attribute in certificate.issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    )


def _signed_by(leaf: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _make_authority(folder: Path, now: datetime) -> _Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    # The fingerprint in the name tells several machines' authorities apart in a browser's list.
    mark = x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest.hex()[:8]
    name = _name(f"hfproxy on {socket.gethostname()} {mark}"[:64])
    certificate = (
        _builder(name, name, key.public_key(), now, _AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    _write(folder / "ca-key.pem", _pem(key), mode=0o600)
    _write(folder / "ca.pem", certificate.public_bytes(Encoding.PEM), mode=0o644)
    return _Authority(certificate, key)


def _make_leaf(folder: Path, authority: _Authority, names: list[str], now: datetime) -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    leaf = (
        _builder(_name("localhost"), authority.certificate.subject, key.public_key(), now, _LEAF_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_san(name) for name in names]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer),
            critical=False,
        )
        .sign(authority.key, hashes.SHA256())
    )
    _write(folder / "key.pem", _pem(key), mode=0o600)
    _write(folder / "cert.pem", leaf.public_bytes(Encoding.PEM), mode=0o644)
    return leaf


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        # A machine whose clock is a little behind should not have to wait.
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _san(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name.strip("[]")))
    except ValueError:
        return x509.DNSName(name.encode("idna").decode() if not name.isascii() else name)


def _machine_names() -> list[str]:
    """This machine's name, short and full, as far as a certificate may carry it."""
    found = {socket.gethostname(), socket.getfqdn()}
    return sorted(name for name in found if name.isascii() and len(name) <= 253 and name.strip(".") and " " not in name)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: Path, content: bytes, *, mode: int) -> None:
    """The whole file or none of it, and a key never readable by others, not even for a moment."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    beside.replace(path)
