"""`hfproxy openapi`: the API's description, as the gateway serves it at /-/openapi.json."""

import json
import sys


def description() -> str:
    """The text of openapi.json."""
    # Imported here so that `--help` and the small commands do not wait for a server.
    from hfproxy.app import create_app
    from hfproxy.downstream.openapi import openapi_document
    from hfproxy.settings import Settings

    document = openapi_document(create_app(Settings()).router)
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def openapi() -> None:
    """Print the OpenAPI 3.1 description of the gateway's own API."""
    sys.stdout.write(description())
