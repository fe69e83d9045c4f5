"""Which addresses are reached through the company's proxy."""

import pytest
from yarl import URL

from hfproxy.upstream.proxy import HubProxy


@pytest.mark.parametrize(
    ("url", "exceptions", "through_proxy"),
    [
        ("https://huggingface.co/api", "", True),
        ("wss://huggingface.co/", "", True),
        ("http://huggingface.co/api", "", False),  # the proxy would read the token
        ("https://localhost:8443/", "", False),
        ("https://hub.localhost/", "", False),
        ("https://127.0.0.2/", "", False),
        ("https://[::1]/", "", False),
        ("https://huggingface.co/", "*", False),
        ("https://huggingface.co/", "example.com, huggingface.co", False),
        ("https://cdn.huggingface.co/", "huggingface.co", False),
        ("https://cdn.huggingface.co/", ".huggingface.co", False),
        ("https://cdn.huggingface.co/", "*.huggingface.co", False),
        ("https://HuggingFace.co./", "HUGGINGFACE.CO", False),
        ("https://nothuggingface.co/", "huggingface.co", True),
        ("https://hub.corp:8443/", "hub.corp:8443", False),
        ("https://hub.corp:8444/", "hub.corp:8443", True),
        ("https://10.1.2.3/", "10.0.0.0/8", False),
        ("https://11.1.2.3/", "10.0.0.0/8", True),
        ("https://[fd00::1]/", "fd00::/8", False),
        ("https://[fd00::1]:8443/", "[fd00::1]:8443", False),
        ("https://huggingface.co/", " , ,", True),
    ],
)
def test_what_goes_through_the_proxy(url: str, exceptions: str, through_proxy: bool) -> None:
    assert HubProxy("http://proxy.corp:3128", exceptions).takes(URL(url)) is through_proxy
