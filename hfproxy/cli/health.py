"""`hfproxy health`: whether the server of these settings lives; for containers and supervisors."""

from hfproxy.cli.terminal import fail, out, read_settings


def health() -> None:
    """Ask the running server whether it lives; exit with 1 if it does not answer.

    It is looked for where the settings say that it listens, on this machine.
    """
    import ssl
    import urllib.error
    import urllib.request

    from hfproxy.loopback import EVERYWHERE

    server = read_settings().settings.server
    address = EVERYWHERE.get(server.host, server.host)
    host = f"[{address}]" if ":" in address else address
    secure = server.tls and server.tls_certificate is not None
    url = f"{'https' if secure else 'http'}://{host}:{server.port}/-/live"
    # The certificate is for the names that clients use, and nothing is told to the server here.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(url, timeout=4):
            pass
    except urllib.error.HTTPError as error:
        fail(f"{url} answers {error.code}")
    except OSError as error:
        fail(f"{url} does not answer: {getattr(error, 'reason', error)}")
    out.print(f"{url} answers", highlight=False, soft_wrap=True)
