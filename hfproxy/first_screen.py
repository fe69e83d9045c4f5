"""What a person sees when a server starts."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from hfproxy import __version__
from hfproxy.settings import SANDBOX, Settings

if TYPE_CHECKING:
    from hfproxy.sandbox.server import Sandbox


def gateway_screen(console: Console, url: str, given: Settings, ready: Settings) -> None:
    """Where the gateway listens, which Hub it speaks to and as whom, commands to try, where the docs are.

    given: the settings as the operator wrote them. ready: the same, with the built-in Hub's address and token in them.
    """
    built_in = given.upstream.endpoint == SANDBOX
    has_demo = built_in and given.sandbox.seed == "demo" and url.startswith("http:")
    curl = f"curl {_trust(ready)}"
    hub = f"{ready.upstream.endpoint}  [dim](built in: nothing leaves this machine)[/]"
    _show(
        console,
        f"hfproxy {__version__}",
        {
            "Listening": f"[bold cyan]{url}[/]",
            "Hub": hub if built_in else ready.upstream.endpoint,
            "Account": _account(given, ready),
            "Docs": f"{url}/docs/",
        },
        [
            f"{curl}{url}/api/account",
            f"""{curl}{url}/api/repo -d '{{"type": "model", "name": "demo", "private": true}}'""",
            f"""{curl}-X DELETE '{url}/api/repo?type=model&name=demo'""",
            *([f"HF_ENDPOINT={url} hf download alice/tiny-sentence-encoder"] if has_demo else []),
        ],
    )


def sandbox_screen(console: Console, sandbox: "Sandbox") -> None:
    """Where the sandbox Hub listens, its accounts, three commands to try."""
    _show(
        console,
        f"hfproxy {__version__}: a sandbox Hub",
        {
            "Listening": f"[bold cyan]{sandbox.url}[/]",
            "CDN": sandbox.cdn_url,
            "Xet store": sandbox.cas_url,
            "Tokens": "hf_sandbox_alice (write), hf_sandbox_alice_read, hf_sandbox_bob",
        },
        [
            *([f"export SSL_CERT_FILE={sandbox.authority}"] if sandbox.authority else []),
            f"export HF_ENDPOINT={sandbox.url} HF_TOKEN=hf_sandbox_alice",
            "hf auth whoami",
            "hf repos create demo",
        ],
    )


def _show(console: Console, title: str, facts: dict[str, str], commands: list[str]) -> None:
    table = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        table.add_row(f"  [bold]{name}[/]", value)
    console.print(f"\n  [bold magenta]{title}[/]\n")
    console.print(table, soft_wrap=True, highlight=False)
    console.print("\n  [bold]Try[/]")
    for command in commands:
        # Whole lines without a frame, so that they can be copied.
        console.print(f"    {command}", style="green", soft_wrap=True, highlight=False, markup=False)
    console.print("\n  [dim]Stop with Ctrl-C.[/]\n", highlight=False)


def _trust(settings: Settings) -> str:
    """What curl needs to be told where the certificate is one of `hfproxy certs`."""
    certificate = settings.server.tls_certificate
    if not settings.server.tls or certificate is None or not (authority := certificate.with_name("ca.pem")).exists():
        return ""
    return f"--cacert {authority} "


def _account(given: Settings, ready: Settings) -> str:
    if given.upstream.endpoint == SANDBOX:
        own = ready.upstream.token == given.upstream.token
        return "the one of the configured sandbox token" if own else "alice  [dim](a token of the sandbox's own)[/]"
    if ready.upstream.token is None:
        return "[yellow]none: set HF_ACCESS_TOKEN in .env to manage repositories[/]"
    return "the one that HF_ACCESS_TOKEN belongs to"
