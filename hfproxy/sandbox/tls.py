"""HTTPS for the sandbox, right or wrong on purpose.

Clients trust `ca.pem`, the sandbox's own authority, and then find a certificate that is as it should be, or one of the
three that every client must refuse.
"""

import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Kind = Literal["valid", "expired", "self-signed", "wrong-host"]

_ANOTHER_HOST: Final = "somewhere-else.invalid"
_AUTHORITY_NAME: Final = "hfproxy sandbox authority"
_LASTS: Final = timedelta(days=300)


@dataclass(frozen=True, slots=True)
class _Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def made_context(folder: Path, kind: Kind, hosts: Iterable[str]) -> ssl.SSLContext:
    """A server's context with a fresh certificate of that kind; the folder has `ca.pem` afterwards.

    The authority of a folder stays the same, so that it is trusted once.
    """
    folder.mkdir(parents=True, exist_ok=True)
    authority = _authority(folder)
    now = datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    names = [_ANOTHER_HOST] if kind == "wrong-host" else list(dict.fromkeys(hosts))
    signer = _Authority(_self_signed(key, names[0], now), key) if kind == "self-signed" else authority
    until = now - timedelta(days=1) if kind == "expired" else now + _LASTS
    leaf = _leaf(key, names, signer, until)
    (folder / "cert.pem").write_bytes(leaf.public_bytes(Encoding.PEM))
    _write_key(folder / "key.pem", key)
    return given_context(folder / "cert.pem", folder / "key.pem")


def given_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A server's context with a certificate of the user's. Raises OSError, ssl.SSLError among them."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


def _authority(folder: Path) -> _Authority:
    certificate_path, key_path = folder / "ca.pem", folder / "ca-key.pem"
    if certificate_path.is_file() and key_path.is_file():
        key = load_pem_private_key(key_path.read_bytes(), None)
        certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
        if isinstance(key, ec.EllipticCurvePrivateKey) and certificate.not_valid_after_utc > datetime.now(UTC) + _LASTS:
            return _Authority(certificate, key)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _self_signed(key, _AUTHORITY_NAME, datetime.now(UTC))
    certificate_path.write_bytes(certificate.public_bytes(Encoding.PEM))
    _write_key(key_path, key)
    return _Authority(certificate, key)


def _self_signed(key: ec.EllipticCurvePrivateKey, name: str, now: datetime) -> x509.Certificate:
    return (
        _begun(key, name, _named(name), now + 4 * _LASTS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def _leaf(key: ec.EllipticCurvePrivateKey, names: list[str], signer: _Authority, until: datetime) -> x509.Certificate:
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key())
    return (
        _begun(key, names[0], signer.certificate.subject, until)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
        .sign(signer.key, hashes.SHA256())
    )


def _begun(key: ec.EllipticCurvePrivateKey, name: str, issuer: x509.Name, until: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(until - 5 * _LASTS)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


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


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
