"""Where redirects lead."""

from yarl import URL

from hfproxy.errors import HubMisspoke
from hfproxy.upstream.addresses import Origin


def led_to(url: URL, location: str, asked: str) -> URL:
    """The address that an answer from `url` sends us on to. Raises HubMisspoke for what is none."""
    try:
        # A name and a password in it would be sent in place of the token, or beside it.
        target = url.join(URL(location, encoded=True)).with_user(None)
        Origin.of(target)  # yarl looks at the host and the port only when it is asked for them
        str(target).encode("ascii")
    except ValueError:
        raise HubMisspoke("a redirect to nowhere", asked=asked) from None
    return target
