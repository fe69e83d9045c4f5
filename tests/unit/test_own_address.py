"""Which addresses of a Hub are this gateway's own."""

import pytest

from hfproxy.own_address import OwnAddress, refuse_own_address
from hfproxy.settings_loading import load_settings


def _refuse(hub: str, host: str, port: int) -> None:
    environ = {"HF_ENDPOINT": hub, "HFPROXY_SERVER__HOST": host, "HFPROXY_SERVER__PORT": str(port)}
    refuse_own_address(load_settings(environ=environ, dotenv=None).settings)


@pytest.mark.parametrize(
    ("hub", "host", "port"),
    [
        ("http://127.0.0.1:8080", "127.0.0.1", 8080),
        ("http://localhost:8080/hub", "127.0.0.1", 8080),
        ("http://hub.localhost:8080", "::1", 8080),
        ("http://[::1]:8080", "localhost", 8080),
        ("http://127.0.0.1:8080", "0.0.0.0", 8080),
        ("http://0.0.0.0:8080", "127.0.0.1", 8080),
        ("http://localhost:8080", "::", 8080),
        ("https://gateway.acme.example", "gateway.acme.example", 443),
        ("http://10.0.0.5", "10.0.0.5", 80),
    ],
)
def test_what_leads_back_here_is_refused(hub: str, host: str, port: int) -> None:
    with pytest.raises(OwnAddress):
        _refuse(hub, host, port)


@pytest.mark.parametrize(
    ("hub", "host", "port"),
    [
        ("sandbox", "127.0.0.1", 8080),
        ("https://huggingface.co", "0.0.0.0", 443),
        ("http://127.0.0.1:8090", "127.0.0.1", 8080),
        ("http://127.0.0.1:8080", "127.0.0.2", 8080),
        ("http://127.0.0.1:8080", "127.0.0.1", 0),
        ("http://10.0.0.5:8080", "10.0.0.6", 8080),
    ],
)
def test_another_server_is_a_hub(hub: str, host: str, port: int) -> None:
    _refuse(hub, host, port)
