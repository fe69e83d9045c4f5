"""The origin of a request is what trusted proxies say, and nothing that anybody else could say."""

from ipaddress import ip_address, ip_network

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from hfproxy.downstream.forwarded import (
    ForwardedHeader,
    Origin,
    TrustedProxies,
    address_of,
    parse_forwarded,
    split_host,
)


class From:
    """A socket whose other end is this address."""

    def __init__(self, peer: str) -> None:
        self.peer = peer

    def get_extra_info(self, name: str, default: object = None) -> object:
        return (self.peer, 40000) if name == "peername" else default


def origin(
    headers: list[tuple[str, str]],
    *,
    peer: str = "127.0.0.1",
    trusted: tuple[str, ...] = ("127.0.0.0/8",),
    header: ForwardedHeader = "x-forwarded",
) -> Origin:
    request = make_mocked_request("GET", "/", CIMultiDict([("Host", "gateway:8080"), *headers]), transport=From(peer))
    return TrustedProxies([ip_network(each) for each in trusted], header=header).origin_of(request)


def test_without_a_proxy_the_socket_and_the_host_header_tell() -> None:
    assert origin([], trusted=()) == Origin(ip_address("127.0.0.1"), "http", "gateway:8080", "", proxied=False)


def test_headers_of_a_stranger_are_not_believed_but_show_that_there_was_a_proxy() -> None:
    headers = [("X-Forwarded-For", "9.9.9.9"), ("X-Forwarded-Host", "evil"), ("X-Forwarded-Proto", "https")]
    found = origin(headers, peer="8.8.8.8")
    assert found == Origin(ip_address("8.8.8.8"), "http", "gateway:8080", "", proxied=True)


def test_a_trusted_proxy_tells_address_scheme_host_and_prefix() -> None:
    found = origin(
        [
            ("X-Forwarded-For", "203.0.113.7"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "hub.acme.example"),
            ("X-Forwarded-Prefix", "/hub/"),
        ]
    )
    assert found.address == ip_address("203.0.113.7")
    assert found.base_url == "https://hub.acme.example/hub"


def test_what_a_client_put_before_the_proxys_own_word_is_not_believed() -> None:
    assert origin([("X-Forwarded-For", "1.1.1.1, 203.0.113.7")]).address == ip_address("203.0.113.7")


def test_several_trusted_proxies_are_walked_through() -> None:
    headers = [("X-Forwarded-For", "203.0.113.7, 10.0.0.5"), ("X-Forwarded-For", "10.0.0.6")]
    assert origin(headers, trusted=("127.0.0.1/32", "10.0.0.0/8")).address == ip_address("203.0.113.7")


def test_an_unreadable_hop_leaves_the_address_unknown() -> None:
    assert origin([("X-Forwarded-For", "unknown")]).address is None


@pytest.mark.parametrize(
    ("set_by", "filled_in"),
    [("x-forwarded", ("Forwarded", "for=1.1.1.1;host=evil")), ("forwarded", ("X-Forwarded-For", "1.1.1.1"))],
)
def test_only_the_form_that_the_proxies_set_is_read(set_by: ForwardedHeader, filled_in: tuple[str, str]) -> None:
    found = origin([filled_in], header=set_by)
    assert (found.address, found.host) == (ip_address("127.0.0.1"), "gateway:8080")


def test_forwarded_is_read_as_the_rfc_writes_it() -> None:
    header = 'for="[2001:db8:cafe::17]:4711", For=192.0.2.60;proto=HTTPS;by=203.0.113.43;host="hub.acme.example:8443"'
    found = origin([("Forwarded", header)], header="forwarded")
    assert (found.address, found.base_url) == (ip_address("192.0.2.60"), "https://hub.acme.example:8443")


@pytest.mark.parametrize("host", ["a b", "evil/path", "user@evil", "evil#", 'x"y', ""])
def test_a_host_that_is_none_never_gets_into_an_address(host: str) -> None:
    assert origin([("X-Forwarded-Host", host)]).host == "gateway:8080"


@pytest.mark.parametrize("prefix", ["//evil.example", "/a/../b", "/..", "/a?x", "/a//b", "no-slash", "/a b"])
def test_a_prefix_that_is_no_path_is_dropped(prefix: str) -> None:
    assert origin([("X-Forwarded-Prefix", prefix)]).prefix == ""


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("1.2.3.4", "1.2.3.4"),
        ("1.2.3.4:80", "1.2.3.4"),
        ("2001:db8::1", "2001:db8::1"),
        ('"[2001:db8::1]:80"', "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
    ],
)
def test_addresses_in_every_spelling(text: str, address: str) -> None:
    assert address_of(text) == ip_address(address)


@pytest.mark.parametrize("text", ["", "unknown", "_hidden", "1.2.3", "[::1", None])
def test_what_is_no_address(text: str | None) -> None:
    assert address_of(text) is None


def test_hosts_are_split() -> None:
    assert split_host("Hub.Example.:80") == ("hub.example", "80")
    assert split_host("[::1]:80") == ("::1", "80")
    assert split_host("[::1]") == ("::1", "")


@given(st.text(max_size=200))
def test_no_forwarded_header_makes_the_parser_fail(text: str) -> None:
    for element in parse_forwarded(text):
        assert all(name == name.lower() for name in element)


@given(st.lists(st.ip_addresses(), min_size=1, max_size=5))
def test_what_is_printed_as_forwarded_is_read_again(addresses: list[object]) -> None:
    printed = ", ".join(f'for="[{each}]:80"' if ":" in str(each) else f"for={each}" for each in addresses)
    assert [element["for"].strip("[]").removesuffix("]:80") for element in parse_forwarded(printed)] == [
        str(each) for each in addresses
    ]
