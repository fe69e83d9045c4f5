"""How a sandbox Hub is set up: where it listens, what it keeps, and how strict it is."""

from dataclasses import dataclass, field
from pathlib import Path

from .tls import Kind
from .trouble import Trouble


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """Calls that one anonymous caller may make in a window; an account may make twice as many.

    Source: hub-docs `hub/rate-limits.md`.
    """

    api: int = 500
    resolvers: int = 3000
    pages: int = 100
    window_s: int = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxConfig:
    """Everything one sandbox Hub needs to know before it starts."""

    host: str = "127.0.0.1"
    port: int = 0
    """0 takes any free port."""
    cdn_port: int = 0
    cas_port: int = 0
    """The port of the Xet store, an origin of its own under the CDN's host name."""
    cdn_name: str = "localhost"
    """The CDN's public host name: another origin than the Hub's, as in real life."""
    data: Path | None = None
    """The folder that keeps everything; None keeps it in memory, and large objects in a temporary folder."""
    seed: str | None = None
    """What to fill an empty Hub with: "demo" or nothing."""
    accounts: Path | None = None
    """A JSON file of further accounts, see `accounts.load_accounts`."""
    public_url: str | None = None
    """What absolute URLs in answers begin with; None is the address that the request came to."""
    page_size: int | None = None
    """The longest page of any listing, below what the caller asks for; tests set it to 2."""
    quotas: Quotas = field(default_factory=Quotas)
    limit_rates: bool = False
    """Whether a used-up quota is refused with 429; it is counted and told in any case."""
    signed_urls_last_s: int = 3600
    """How long an address on the CDN is good for."""
    multipart_from_bytes: int = 100_000_000
    """Objects of this size are uploaded in parts by clients that can."""
    part_bytes: int = 20_000_000
    tls: Kind | None = None
    """HTTPS with a certificate that the sandbox makes, as it should be or wrong in one way."""
    certificate: tuple[Path, Path] | None = None
    """HTTPS with this certificate and key; wins over `tls`."""
    xet: bool = True
    """Whether large files are offered, and taken, by Xet."""
    xet_tokens_last_s: int = 3600
    """How long a token for the Xet store is good for."""
    oauth_tokens_last_s: int = 28_800
    """How long a token that came by OAuth is good for; its app may renew it."""
    troubles: tuple[Trouble, ...] = ()
    """What goes wrong from the start; `Hub.troubles` changes it."""
