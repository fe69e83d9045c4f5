"""`hfproxy certs`: HTTPS on this machine without a certificate of anybody's."""

from pathlib import Path
from typing import Annotated

import typer

from hfproxy.cli.terminal import fail, out


def certs(
    name: Annotated[
        list[str] | None, typer.Option(help="A further host name or address to be reached by; may be repeated.")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where to put them; `hfproxy serve` looks into certs/.")] = Path("certs"),
) -> None:
    """Make a certificate for HTTPS, signed by a local authority, and say how to trust it.

    Run it again to renew the certificate or to add names: the authority stays. It never overwrites a file that it did
    not make.
    """
    from hfproxy.certificates import BadCertificate
    from hfproxy.how_to_trust import how_to_trust
    from hfproxy.local_authority import NotOurs, make_certificate

    try:
        made = make_certificate(folder, name or [])
    except (NotOurs, BadCertificate) as error:
        fail("Nothing was made.", str(error))
    except OSError as error:
        fail("Nothing was made.", f"{error.filename}: {error.strerror}")
    out.print(how_to_trust(made), soft_wrap=True, markup=False, highlight=False)
