"""Authorities and certificates of the tests' own, as files and as server contexts."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Files:
    """A certificate chain and its key."""

    certificate: Path
    key: Path


class Authority:
    """One private authority, and what it signs, in a folder."""

    def __init__(self, folder: Path, *, name: str = "authority") -> None:
        self._folder = folder
        self._ca = trustme.CA(organization_name=name)
        self.file = folder / f"{name}.pem"
        self._ca.cert_pem.write_to_path(str(self.file))

    def sign(self, *names: str, days: int = 30, starts_in_days: int = -400, file: str = "leaf") -> Files:
        """A leaf for these names, 127.0.0.1 if none; negative days: expired that long ago."""
        leaf = self._ca.issue_cert(
            *(names or ("127.0.0.1",)),
            not_before=datetime.now(UTC) + timedelta(days=starts_in_days),
            not_after=datetime.now(UTC) + timedelta(days=days),
        )
        files = Files(self._folder / f"{file}-cert.pem", self._folder / f"{file}-key.pem")
        files.certificate.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        leaf.private_key_pem.write_to_path(str(files.key))
        return files

    def client_context(self) -> ssl.SSLContext:
        """A client that trusts this authority only."""
        return ssl.create_default_context(cafile=self.file)

    def server_context(self, *names: str, days: int = 30, clients: "Authority | None" = None) -> ssl.SSLContext:
        """A server with a leaf of this authority; clients: whose certificates a client must show."""
        files = self.sign(*names, days=days, file="server")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.certificate, files.key)
        if clients is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cafile=clients.file)
        return context
