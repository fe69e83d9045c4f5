"""Every knob, in frozen groups named after the package that reads them.

Names: `HFPROXY_<GROUP>__<NAME>`, and the older `HF_ACCESS_TOKEN`, `HF_TOKEN` and `HF_ENDPOINT`. A name with `_FILE`
behind it takes the value from that file (Docker and Kubernetes secrets). `settings_loading.py` tells which wins.
"""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ByteSize, ConfigDict, Field, IPvAnyNetwork, SecretStr
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

PREFIX = "HFPROXY_"
DELIMITER = "__"
SANDBOX = "sandbox"
# The names of the earlier microservice and of the Hub's own tools; the first one that is set wins.
OTHER_NAMES = {
    "HF_ACCESS_TOKEN": "HFPROXY_UPSTREAM__TOKEN",
    "HF_TOKEN": "HFPROXY_UPSTREAM__TOKEN",
    "HF_ENDPOINT": "HFPROXY_UPSTREAM__ENDPOINT",
    # What a company's machines have set for every program on them.
    "SSL_CERT_FILE": "HFPROXY_UPSTREAM__CA",
    "HTTPS_PROXY": "HFPROXY_UPSTREAM__PROXY",
    "ALL_PROXY": "HFPROXY_UPSTREAM__PROXY",
    "NO_PROXY": "HFPROXY_UPSTREAM__NO_PROXY",
}


def _split(text: str) -> SplitResult:
    """A URL's parts, its port a possible one. The message repeats none of it."""
    try:
        url = urlsplit(text)
        in_order = url.port is None or url.port > 0
    except ValueError:
        in_order = False
    if not in_order or re.search(r"\s", text):
        raise ValueError("is not a URL: look at its brackets, its port, and for spaces")
    return url


def _check_endpoint(text: str) -> str:
    """A Hub's base URL without a slash at the end, or `sandbox`."""
    if text == SANDBOX:
        return text
    url = _split(text)
    if url.scheme not in {"http", "https"} or not url.hostname or url.query or url.fragment or url.username:
        raise ValueError("must be 'sandbox' or a URL such as https://huggingface.co, without a query or a password")
    return text.rstrip("/")


def _check_token(token: SecretStr | None) -> SecretStr | None:
    """A token that a header can carry. No message repeats it."""
    if token is None or not (text := token.get_secret_value().strip()):
        return None
    if not re.fullmatch(r"[!-~]+", text):
        raise ValueError("must be one token such as hf_abc: printable ASCII, without spaces and line breaks in it")
    return SecretStr(text)


# As SQLAlchemy reads one; a password may hold anything but an `@`.
_DATABASE = re.compile(r"postgres(ql)?://([^@]*@)?([^@/?:\[\]]*|\[[^\]]*\])(:\d+)?([/?].*)?")


def _check_database(url: SecretStr | None) -> SecretStr | None:
    if url is not None and not _DATABASE.fullmatch(url.get_secret_value()):
        raise ValueError(
            "must be a URL such as postgresql://user:password@host:5432/name, with %40 for @ in a password"
        )
    return url


def _check_bucket(text: str | None) -> str | None:
    """A bucket's URL; without one, blobs lie on the disk."""
    if text is None:
        return None
    url = _split(text)
    if url.scheme != "s3" or not re.fullmatch(r"[A-Za-z0-9._-]+", url.netloc) or url.query or url.fragment:
        raise ValueError("must be a bucket such as s3://bucket or s3://bucket/prefix")
    return text.rstrip("/")


def _check_http(text: str | None) -> str | None:
    if text is not None and (_split(text).scheme not in {"http", "https"} or not _split(text).hostname):
        raise ValueError("must be a URL such as https://s3.example.com")
    return text.rstrip("/") if text is not None else None


def _check_prefix(text: str) -> str:
    """A path that begins with a slash and does not end with one, or nothing."""
    text = text.rstrip("/")
    if text and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", text):
        raise ValueError("must be a path such as /hub")
    return text


_UNITS_S = {"ms": 0.001, "s": 1, "": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|)")


def _read_duration(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not (match := _DURATION.fullmatch(value.strip().lower())):
        raise ValueError("must be a time such as 500ms, 30s, 5m, 12h or 7d")
    try:
        return timedelta(seconds=float(match[1]) * _UNITS_S[match[2]])
    except OverflowError:
        raise ValueError("is more time than can be counted") from None


def _check_wait(time: timedelta) -> timedelta:
    """A longest wait: none at all would let every call fail."""
    if not time:
        raise ValueError("must be more than no time at all")
    return time


Duration = Annotated[timedelta, BeforeValidator(_read_duration)]
Wait = Annotated[Duration, AfterValidator(_check_wait)]


def _read_list(value: object) -> object:
    """`a, b` as it is written in `.env`; JSON as pydantic-settings would have it is taken too."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return [part.strip() for part in value.split(",") if part.strip()]


def _check_origin(text: str) -> str:
    url = _split(text)
    if text != "*" and (
        url.scheme not in {"http", "https"} or not url.netloc or text != f"{url.scheme}://{url.netloc}"
    ):
        raise ValueError("must be an origin such as https://app.example, or *")
    return text.lower()


def _check_host(text: str) -> str:
    if not re.fullmatch(r"\*?[A-Za-z0-9._-]+|[0-9A-Fa-f:]+", text):
        raise ValueError("must be a name such as hub.acme.example or *.acme.example, or an address, without a port")
    return text.lower()


T = TypeVar("T")
Listed = Annotated[tuple[T, ...], NoDecode, BeforeValidator(_read_list)]


def _check_proxy(secret: SecretStr) -> SecretStr:
    """A proxy's URL; without a scheme it is http, as curl reads it. No message repeats it: it may hold a password."""
    text = secret.get_secret_value().rstrip("/")
    url = urlsplit(text if "://" in text else f"http://{text}")
    try:
        usable = url.scheme in {"http", "https"} and url.hostname and (url.port is None or url.port > 0)
    except ValueError:
        usable = False
    if not usable or url.path or url.query or url.fragment:
        raise ValueError("must be a proxy's URL such as http://proxy.example.com:3128")
    return SecretStr(url.geturl())


def _refuse_pem_text(value: object) -> object:
    """Refuses a file's content where its name is wanted (`…_FILE` reads the file), without repeating a key."""
    if isinstance(value, str) and "-----BEGIN" in value:
        raise ValueError("must be the path of a PEM file, not its text (a name ending in _FILE reads the file)")
    return value


ProxyUrl = Annotated[SecretStr, AfterValidator(_check_proxy)]
PemPath = Annotated[Path, BeforeValidator(_refuse_pem_text)]


class Group(BaseModel):
    """One group of settings: frozen, and strict about names."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class ServerSettings(Group):
    host: str = Field(
        "127.0.0.1", description="Address to listen on; anything but loopback needs keys or ACCESS__ANONYMOUS"
    )
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one")
    workers: int = Field(1, ge=1, le=128, description="Processes to serve with, on the one port")
    tls: bool = Field(True, description="Whether to serve HTTPS where there is a certificate")
    tls_certificate: PemPath | None = Field(
        None,
        description="Certificate chain (PEM) to serve HTTPS with; unset: certs/cert.pem and key.pem, if they are there",
    )
    tls_key: PemPath | None = Field(None, description="Its private key (PEM, no password); unset: in the same file")
    max_body_size: ByteSize = Field(ByteSize(1024**2), description="Largest body of a call to the gateway's own API")
    body_timeout: Wait = Field(timedelta(seconds=30), description="Longest wait for the whole of such a body")
    keepalive_timeout: Duration = Field(
        timedelta(seconds=75),
        description="How long an idle connection, or one whose next request is not all there, is kept; longer than a "
        "proxy in front keeps it",
    )
    unread_timeout: Wait = Field(
        timedelta(minutes=5),
        le=timedelta(days=1),
        description="How long a client may read nothing of its answer before it is cut off (on Linux)",
    )
    max_requests_in_flight: int = Field(2000, ge=1, description="More requests than this at once are answered 503")
    max_connections: int = Field(
        10_000, ge=1, description="More connections than this at once are answered 503 and closed"
    )
    path_prefix: Annotated[str, AfterValidator(_check_prefix)] = Field(
        "", description="A path such as /hub that everything is served under too, beside the root"
    )
    drain_for: Duration = Field(
        timedelta(0),
        description="How long a stop goes on serving while /-/ready says 503, so that a load balancer turns away first",
    )
    shutdown_timeout: Duration = Field(timedelta(seconds=30), description="How long a stop waits for running requests")
    trusted_proxies: Listed[IPvAnyNetwork] = Field(
        (), description="Networks of the proxies in front of this server, whose word on who asked is believed"
    )
    forwarded_header: Literal["x-forwarded", "forwarded"] = Field(
        "x-forwarded", description="The headers that those proxies set: X-Forwarded-*, or Forwarded of RFC 7239"
    )
    allowed_hosts: Listed[Annotated[str, AfterValidator(_check_host)]] = Field(
        (),
        description="Names that callers without a key may know this server by (*.acme.example for all below); "
        "unset: any, but on loopback without keys this machine's own only",
    )
    cors_origins: Listed[Annotated[str, AfterValidator(_check_origin)]] = Field(
        (), description="Web pages elsewhere that may use this server from a browser: their origins, or *"
    )


class UpstreamSettings(Group):
    endpoint: Annotated[str, AfterValidator(_check_endpoint)] = Field(
        "https://huggingface.co", description="The Hub to speak to, or `sandbox` for the built-in one"
    )
    token: Annotated[SecretStr | None, AfterValidator(_check_token)] = Field(
        None, description="The Hub token the gateway acts with"
    )
    webhook_secret: SecretStr | None = Field(
        None, description="Secret of the Hub's webhooks that call /-/webhooks/hub; unset: that address takes nothing"
    )
    ca: PemPath | None = Field(
        None,
        description="A file or folder of certificates (PEM) to trust beside certifi's bundle (SSL_CERT_FILE works too)",
    )
    client_certificate: PemPath | None = Field(
        None, description="Certificate chain (PEM) to show where the Hub asks for one"
    )
    client_key: PemPath | None = Field(None, description="Its private key (PEM, no password); unset: in the same file")
    proxy: ProxyUrl | None = Field(
        None,
        description="Proxy for https addresses, user:password@ allowed (HTTPS_PROXY works too); never for loopback",
    )
    no_proxy: str = Field(
        "", description="Hosts, .domains, addresses and networks to reach without it (NO_PROXY works too)"
    )
    connect_timeout: Wait = Field(timedelta(seconds=10), description="Longest wait for a connection to the Hub")
    answer_timeout: Wait = Field(timedelta(seconds=30), description="Longest wait for the Hub's answer to an API call")
    idle_timeout: Wait = Field(
        timedelta(minutes=5), description="Longest time that nothing moves on a relayed call before it is ended"
    )
    max_connections: int = Field(200, ge=1, description="Most connections to the Hub at once; they are kept and reused")


class StorageSettings(Group):
    root: Path = Field(Path("data"), description="Folder for all that is kept: keys, audit trail, caches")
    database: Annotated[SecretStr | None, AfterValidator(_check_database)] = Field(
        None,
        description="A PostgreSQL URL (postgresql://user:password@host/name); unset: SQLite, a file in the folder",
    )
    database_timeout: Wait = Field(
        timedelta(seconds=15),
        description="Longest wait for PostgreSQL; then it is left alone for 3 s at a time",
    )
    max_size: ByteSize | None = Field(
        None, description="Most that kept files may take together; unset: as much as FREE_FLOOR leaves"
    )
    free_floor: ByteSize = Field(
        ByteSize(2 * 1024**3),
        description="Room on the disk that kept files leave to others; where less is free, they go",
    )
    blobs: Annotated[str | None, AfterValidator(_check_bucket)] = Field(
        None,
        description="A bucket for kept files, s3://bucket/prefix, that gateways with one PostgreSQL may share; "
        "unset: the folder",
    )
    s3_endpoint: Annotated[str | None, AfterValidator(_check_http)] = Field(
        None, description="URL of an S3-compatible server; unset: AWS_ENDPOINT_URL, or Amazon's"
    )
    s3_region: str | None = Field(None, description="Its region; unset: AWS_REGION, or us-east-1")
    s3_access_key: SecretStr | None = Field(
        None, description="Access key; unset: AWS_ACCESS_KEY_ID, ~/.aws/credentials, or the machine's own role"
    )
    s3_secret_key: SecretStr | None = Field(None, description="Secret key that belongs to it")
    s3_ca: PemPath | None = Field(
        None, description="A file of certificates (PEM) to trust beside the system's for that server"
    )
    s3_timeout: Wait = Field(
        timedelta(seconds=10),
        description="Longest wait for an object of a bucket, three times as long for one that is put there; then it is "
        "left alone for 3 s at a time",
    )
    s3_block_size: ByteSize = Field(
        ByteSize(4 * 1024**2), ge=64 * 1024, description="Size of the objects that files are kept in"
    )
    s3_memory: ByteSize = Field(ByteSize(64 * 1024**2), description="Memory for what was last read from the bucket")


class FilesSettings(Group):
    fresh_for: Duration = Field(
        timedelta(seconds=30), description="How long a branch or tag is believed to point where the Hub last said"
    )
    rights_for: Duration = Field(
        timedelta(seconds=60), description="How long the Hub's yes to a caller is remembered for a repository"
    )
    stale_for: Duration = Field(
        timedelta(days=7), description="How long what was kept is served while the Hub cannot be asked"
    )
    offline: bool = Field(False, description="Whether to serve only what is kept and never ask the Hub for files")
    names_for: Duration = Field(
        timedelta(days=90),
        description="How long names, rights and answers are kept that nobody asks for; pins keep them",
    )
    max_names: int = Field(1_000_000, ge=1000, description="Most files, and most answers, of which something is known")
    answers_size: ByteSize = Field(
        ByteSize(1024**3), description="Room for what the Hub said of repositories, compressed, in the database"
    )
    connections: int = Field(8, ge=1, le=64, description="Most connections to fetch one large file over")
    max_connections: int = Field(64, ge=1, description="More connections for one file are opened up to this many")
    stall_timeout: Wait = Field(
        timedelta(seconds=8), description="Longest silence of the Hub in the middle of a file; then it is asked again"
    )
    finish_below: ByteSize = Field(
        ByteSize(2 * 1024**3), description="Downloads of smaller files are finished though nobody waits any more"
    )
    small_size: ByteSize = Field(
        ByteSize(256 * 1024), description="Files up to this size are fetched whole and answered from memory"
    )
    memory: ByteSize = Field(ByteSize(32 * 1024**2), description="Memory for small files")
    accel_prefix: str | None = Field(
        None, description="Prefix of X-Accel-Redirect addresses, where a front server sends kept files itself"
    )
    accel_answers: bool = Field(
        False,
        description="Lets a front server give the answer for a small file or a HEAD by commit hash again for a second "
        "(X-Accel-Expires). Only behind docs/nginx.conf: its key keeps callers apart",
    )


class XetSettings(Group):
    mode: Literal["relay", "http", "direct"] = Field(
        "relay",
        description="What clients are told of Xet: relay (Xet through the gateway, its chunks kept), http (files go "
        "over plain HTTP where clients take them so), direct (clients speak to the Hub's store themselves)",
    )


class AccessSettings(Group):
    anonymous: Literal["none", "reader", "writer", "admin"] | None = Field(
        None,
        description="What callers without a key may do; unset: all on loopback until a key is made, then nothing",
    )
    hub_tokens: bool = Field(True, description="Whether callers may send a Hub token and act as themselves")
    failed_attempts: int = Field(
        60, ge=1, description="Wrong keys a minute from one address; any more are answered 429"
    )


class PolicySettings(Group):
    file: Path | None = Field(
        None, description="Rules on who may do what, and limits (TOML, docs/policy.md); read again when it changes"
    )


class LoggingSettings(Group):
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least severe lines that are written"
    )
    format: Literal["auto", "console", "json"] = Field(
        "auto", description="auto: console on a terminal, JSON otherwise"
    )
    file: Path | None = Field(None, description="A file to write JSON lines to as well, rotated by size")
    file_max_size: ByteSize = Field(ByteSize(50 * 1024**2), description="Size at which the log file is rotated")
    file_backups: int = Field(5, ge=0, description="Rotated log files to keep")


class OpsSettings(Group):
    metrics_role: Literal["none", "reader", "writer", "admin"] = Field(
        "reader", description="The least role that may see /-/metrics; none: anybody"
    )
    traces: bool = Field(
        False, description="Whether to send traces by OTLP over HTTP; where to is told by the standard OTEL_ variables"
    )


class SandboxSettings(Group):
    port: int = Field(0, ge=0, le=65535, description="Loopback port of the built-in Hub; 0 takes a free one")
    data: Path | None = Field(None, description="Folder where the built-in Hub keeps its state; unset: in memory")
    seed: Literal["demo", "none"] = Field("demo", description="What a new built-in Hub is filled with")


class Settings(BaseSettings):
    """All settings of one process, read once at its start."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter=DELIMITER, frozen=True, extra="forbid", env_parse_none_str=""
    )

    server: ServerSettings = ServerSettings()
    upstream: UpstreamSettings = UpstreamSettings()
    storage: StorageSettings = StorageSettings()
    files: FilesSettings = FilesSettings()
    xet: XetSettings = XetSettings()
    access: AccessSettings = AccessSettings()
    policy: PolicySettings = PolicySettings()
    logging: LoggingSettings = LoggingSettings()
    ops: OpsSettings = OpsSettings()
    sandbox: SandboxSettings = SandboxSettings()

    def secrets(self) -> tuple[str, ...]:
        """The values that no line may show; those of a few letters are no secrets, and part of many words."""
        values = [value for _, group in self for _, value in group]
        texts = [value.get_secret_value() for value in values if isinstance(value, SecretStr)]
        return tuple(text for text in texts if len(text) >= 4)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what the caller gives: `settings_loading.py` gathers the variables, and notes where from."""
        return (init_settings,)
