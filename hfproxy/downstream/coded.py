"""Bodies that are read here must come as they are: what is decided by them must be what the Hub reads in them."""

from aiohttp import web

from hfproxy.errors import CodingNotTaken


def refuse_coded(request: web.Request, why: str) -> None:
    """Passes if the body has no coding; of several headers, all count. Raises CodingNotTaken."""
    codings = ",".join(request.headers.getall("Content-Encoding", ())).split(",")
    if any(coding.strip().lower() not in {"", "identity"} for coding in codings):
        raise CodingNotTaken(why)
