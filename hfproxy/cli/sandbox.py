"""`hfproxy sandbox`: the built-in Hub on its own, for everybody who tests software against the Hub."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from hfproxy.cli.terminal import err, fail
from hfproxy.starting import EX_CONFIG, EX_UNAVAILABLE

if TYPE_CHECKING:
    from hfproxy.sandbox.tls import Kind
    from hfproxy.sandbox.trouble import Trouble


def sandbox(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the Hub; 0 takes a free one.")] = 8090,
    cdn_port: Annotated[int, typer.Option(min=0, max=65535, help="Port of its CDN; 0 takes a free one.")] = 0,
    data: Annotated[
        Path | None, typer.Option(help="Folder that keeps everything; without it all is in memory.")
    ] = None,
    seed: Annotated[str, typer.Option(help="What to fill an empty Hub with: `demo` or `none`.")] = "none",
    accounts: Annotated[Path | None, typer.Option(help="JSON file of further accounts.")] = None,
    public_url: Annotated[
        str | None, typer.Option(help="What absolute URLs in answers begin with; else the address that was asked.")
    ] = None,
    page_size: Annotated[int | None, typer.Option(min=1, help="Longest page of any listing.")] = None,
    limit_rates: Annotated[bool, typer.Option(help="Refuse calls over the quota with 429.")] = False,
    trouble: Annotated[
        list[str] | None,
        typer.Option(
            help="Something that goes wrong, as `status=503,rate=0.1,path=/api/*`; may be given again. "
            "Change it later at /-/trouble.",
            metavar="NAME=VALUE,…",
        ),
    ] = None,
    tls: Annotated[
        str | None, typer.Option(help="Speak HTTPS, certificate `valid`, `expired`, `self-signed` or `wrong-host`.")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Speak HTTPS with this certificate …")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="… and this key.")] = None,
    cas_port: Annotated[int, typer.Option(min=0, max=65535, help="Port of its Xet store; 0 takes a free one.")] = 0,
    xet: Annotated[bool, typer.Option(help="Offer and take large files by Xet, as the Hub does.")] = True,
    oauth_tokens_last: Annotated[int, typer.Option(min=1, help="Seconds that a token by OAuth is good for.")] = 28_800,
    xet_tokens_last: Annotated[int, typer.Option(min=1, help="Seconds that a token for Xet is good for.")] = 3600,
    multipart_from: Annotated[int, typer.Option(min=1, help="Bytes from which uploads come in parts.")] = 100_000_000,
    part_size: Annotated[int, typer.Option(min=1, help="Bytes of a part.")] = 20_000_000,
) -> None:
    """Start a sandbox Hub: small, faithful, with fixed accounts, good for testing software against the Hub.

    Accounts: alice (tokens hf_sandbox_alice, …_read, …_fine, …_expired), bob (hf_sandbox_bob), organisation acme.
    """
    # Imported here so that `--help` and the small commands do not wait for a server.
    import ssl

    import uvloop
    from pydantic import ValidationError

    from hfproxy.first_screen import sandbox_screen
    from hfproxy.sandbox.config import SandboxConfig
    from hfproxy.sandbox.server import running_sandbox
    from hfproxy.server import stop_signal

    async def run() -> None:
        async with running_sandbox(config) as running:
            sandbox_screen(err, running)
            await stop_signal()

    config = SandboxConfig(
        host=host,
        port=port,
        cdn_port=cdn_port,
        cas_port=cas_port,
        data=data,
        seed=_seed(seed),
        accounts=accounts,
        public_url=public_url,
        page_size=page_size,
        limit_rates=limit_rates,
        troubles=tuple(_trouble(text) for text in trouble or ()),
        tls=_kind(tls),
        certificate=_pair(tls_cert, tls_key),
        xet=xet,
        xet_tokens_last_s=xet_tokens_last,
        oauth_tokens_last_s=oauth_tokens_last,
        multipart_from_bytes=multipart_from,
        part_bytes=part_size,
    )
    try:
        uvloop.run(run())
    except ValidationError as error:
        if accounts is None:
            raise
        mistakes = (f"{'.'.join(map(str, each['loc'])) or 'JSON'}: {each['msg']}" for each in error.errors())
        fail(f"{accounts} holds no accounts:", *mistakes, code=EX_CONFIG)
    except ssl.SSLError as error:
        fail(f"cannot use the certificate: {error.reason or error}", code=EX_CONFIG)
    except OSError as error:
        if error.filename is not None:
            fail(f"{error.filename} cannot be used: {error.strerror}", code=EX_CONFIG)
        fail(f"cannot listen on {host}:{port}: {error.strerror}", code=EX_UNAVAILABLE)


def _seed(text: str) -> str | None:
    if text not in {"demo", "none"}:
        raise typer.BadParameter("demo or none", param_hint="--seed")
    return None if text == "none" else text


def _trouble(text: str) -> "Trouble":
    from hfproxy.sandbox.trouble import BadTrouble, Trouble

    try:
        return Trouble.parse(text)
    except BadTrouble as error:
        raise typer.BadParameter(f"{text!r}: {error}", param_hint="--trouble") from None


def _kind(text: str | None) -> "Kind | None":
    from hfproxy.sandbox.tls import Kind

    for kind in get_args(Kind):
        if kind == text:
            return cast("Kind", kind)
    if text is not None:
        raise typer.BadParameter(f"one of {', '.join(get_args(Kind))}", param_hint="--tls")
    return None


def _pair(certificate: Path | None, key: Path | None) -> tuple[Path, Path] | None:
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise typer.BadParameter("a certificate needs its key, and a key its certificate", param_hint="--tls-cert")
    return certificate, key
