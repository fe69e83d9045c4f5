"""What must change in answers changes, and nothing else."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfproxy.upstream.addresses import HubAddresses
from hfproxy.upstream.headers import asked_of_the_hub, told_to_the_caller
from hfproxy.upstream.lfs import Target, without_xet
from hfproxy.upstream.links import Link, parse_links, print_links
from hfproxy.upstream.rewriting import Rewriting, without_fileinfo, without_xet_hashes
from hfproxy.upstream.routes import classify
from hfproxy.upstream.xet import (
    NotAReconstruction,
    XetMode,
    XetRoad,
    XorbRange,
    in_version_2,
    rewrite_reconstruction,
)

BASE = "http://gate.example:8080/hub"
HUB = "http://hub.example/up"


CAS = f"{BASE}/-/xet/cas"


def rewriting(tickets: list[Target] | None = None, mode: XetMode = XetMode.RELAY) -> Rewriting:
    taken = tickets if tickets is not None else []

    def ticket(target: Target) -> str:
        taken.append(target)
        return f"{BASE}/-/lfs/{len(taken)}"

    return Rewriting(
        base=BASE,
        prefix="/hub",
        upstream_prefix="/up",
        addresses=HubAddresses(HUB),
        ticket=ticket,
        xet=XetRoad(mode, CAS, lambda cas, token: f"sealed({cas}, {token})"),
    )


@pytest.mark.parametrize(
    ("address", "moved"),
    [
        ("https://huggingface.co/acme/demo?x=%2F#y", f"{BASE}/acme/demo?x=%2F#y"),
        ("HTTPS://HuggingFace.co:443/a%2Fb", f"{BASE}/a%2Fb"),
        ("https://huggingface.co", BASE),
        ("https://hf.co/x", f"{BASE}/x"),
        ("http://hub.example:80/up/api", f"{BASE}/api"),
        ("http://hub.example/upper/api", None),
        ("http://hub.example/other", None),
        ("https://huggingface.co.evil.example/x", None),
        ("https://huggingface.co@evil.example/x", None),
        ("https://evil.example/https://huggingface.co/x", None),
        ("https://huggingface.co:8443/x", None),
        ("https://huggingface.co\\@evil.example/x", None),
        ("https://cas-server.xethub.hf.co/v1", None),
        ("/relative", None),
    ],
)
def test_an_address_of_the_hub_is_moved_and_any_other_stays(address: str, moved: str | None) -> None:
    assert HubAddresses(HUB).under(BASE, address) == (moved or address)


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("/up/api/x?y", "/hub/api/x?y"),
        ("/api/x", "/hub/api/x"),
        ("x/y", "x/y"),
        ("https://huggingface.co/new/name/resolve/main/a%20b", f"{BASE}/new/name/resolve/main/a%20b"),
        ("https://cdn.example/x?Signature=y", "https://cdn.example/x?Signature=y"),
        ("//cdn.example/x", "//cdn.example/x"),
    ],
)
def test_a_redirect_leads_to_the_gateway_where_it_led_to_the_hub(location: str, told: str) -> None:
    assert rewriting().location(location) == told


addresses = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="<>"), min_size=1)
parameters = st.sampled_from(['; rel="next"', ";rel=next", '; rel="a b"; title="x, <y>; \\"z\\""', ""])


@given(st.lists(st.builds(Link, addresses, parameters), min_size=1, max_size=4))
def test_links_printed_are_the_same_links_when_parsed(links: list[Link]) -> None:
    assert parse_links(print_links(links)) == links


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_a_link_header_of_any_form_is_kept_if_it_names_no_hub(value: str) -> None:
    assert rewriting().link(value) == value


def test_next_pages_stay_here_and_offers_of_xet_go() -> None:
    value = (
        '<https://huggingface.co/api/models?limit=2&cursor=a%3D%3D,b>; rel="next", '
        '<https://huggingface.co/api/models/a/b/xet-read-token/0>; rel="xet-auth", '
        '<https://cas-server.xethub.hf.co/v1/reconstructions/0>; rel="xet-reconstruction-info"'
    )
    assert rewriting().link(value, strip_xet=True) == f'<{BASE}/api/models?limit=2&cursor=a%3D%3D,b>; rel="next"'


names = st.sampled_from(["path", "xetHash", "oid", "x", 'a,"xetHash":"b"', "lfs", '{"xetHash":"'])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | names | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(names, children, max_size=5),
    max_leaves=30,
)


def _stripped(value: Any) -> Any:
    """What stripping means: members whose value is no container (a hash never is one) go."""
    if isinstance(value, list):
        return [_stripped(each) for each in value]
    if isinstance(value, dict):
        return {
            name: _stripped(each) for name, each in value.items() if name != "xetHash" or isinstance(each, dict | list)
        }
    return value


@given(values, st.sampled_from([None, 1]), st.booleans())
def test_stripping_xet_hashes_takes_these_members_and_nothing_else(
    document: Any, indent: int | None, ascii_only: bool
) -> None:
    body = json.dumps(document, indent=indent, ensure_ascii=ascii_only).encode(errors="surrogatepass")
    assert json.loads(without_xet_hashes(body).decode(errors="surrogatepass")) == _stripped(document)


def test_a_body_in_which_nothing_changes_keeps_its_bytes() -> None:
    body = b'{ "url" : "https://elsewhere.example/x",  "n": 1.10, "date":"2026-01-02T03:04:05.000Z" }'
    assert rewriting().body(classify("POST", "/api/repos/create"), body) is body
    tree = b'[ {"path":"\\u00e9" , "size": 1.0} ]'
    assert rewriting().body(classify("GET", "/api/models/a/b/tree/main"), tree) == tree


def test_addresses_in_known_fields_are_moved_and_words_are_left_alone() -> None:
    commit = {
        "commitUrl": "https://huggingface.co/a/b/commit/0",
        "pullRequestUrl": "https://huggingface.co/a/b/discussions/1",
        "hookOutput": "see https://huggingface.co/docs",
    }
    told = json.loads(rewriting().body(classify("POST", "/api/models/a/b/commit/main"), json.dumps(commit).encode()))
    assert told == {
        "commitUrl": f"{BASE}/a/b/commit/0",
        "pullRequestUrl": f"{BASE}/a/b/discussions/1",
        "hookOutput": "see https://huggingface.co/docs",
    }


def test_no_address_in_an_lfs_batch_leads_round_the_gateway() -> None:
    batch = {
        "transfer": "basic",
        "objects": [
            {
                "oid": "a" * 64,
                "size": 5,
                "authenticated": True,
                "actions": {
                    "upload": {"href": "https://s3.example/1?X-Amz-Signature=s", "header": {"x-amz-a": "b"}},
                    "verify": {
                        "href": "https://huggingface.co/a/b.git/info/lfs/objects/verify",
                        "header": {"Authorization": "Basic secret", "k": "v"},
                    },
                },
            },
            {
                "oid": "b" * 64,
                "size": 9,
                "authenticated": True,
                "actions": {
                    "upload": {
                        "href": "https://huggingface.co/api/complete_multipart?u=1",
                        "header": {
                            "chunk_size": "5",
                            "00001": "https://s3.example/p1",
                            "00002": "https://s3.example/p2",
                        },
                    },
                    "verify": {"href": "https://huggingface.co/a/b.git/info/lfs/objects/verify"},
                },
            },
            {"oid": "c" * 64, "size": 7},
            {"oid": "d" * 64, "size": 9, "error": {"code": 422, "message": "no https://huggingface.co"}},
        ],
    }
    tickets: list[Target] = []
    route = classify("POST", "/a/b.git/info/lfs/objects/batch")
    told = json.loads(rewriting(tickets).body(route, json.dumps(batch).encode()))
    first, second, *others = told["objects"]
    assert first["actions"] == {
        "upload": {"href": f"{BASE}/-/lfs/1", "header": {"x-amz-a": "b"}},
        "verify": {"href": f"{BASE}/-/lfs/2", "header": {"k": "v"}},
    }
    assert second["actions"]["upload"] == {
        "href": f"{BASE}/-/lfs/3",
        "header": {"chunk_size": "5", "00001": f"{BASE}/-/lfs/4", "00002": f"{BASE}/-/lfs/5"},
    }
    assert second["actions"]["verify"]["href"] == f"{BASE}/a/b.git/info/lfs/objects/verify"
    assert "authenticated" not in second
    assert others == batch["objects"][2:]
    assert tickets[1].authorization == "Basic secret"
    assert [ticket.methods for ticket in tickets[2:]] == [("PUT", "POST"), ("PUT",), ("PUT",)]
    assert tickets[0].oid == "a" * 64


def test_xet_is_not_offered_in_an_lfs_batch() -> None:
    assert json.loads(without_xet(b'{"transfers":["basic","xet","multipart"]}')) == {
        "transfers": ["basic", "multipart"]
    }
    assert without_xet(b'{ "transfers": ["basic"] }') == b'{ "transfers": ["basic"] }'
    assert without_xet(b"\x00") == b"\x00"


def test_the_xet_form_of_metadata_is_not_asked_for() -> None:
    assert without_fileinfo("application/vnd.xet-fileinfo+json, */*;q=0.1") == "*/*;q=0.1"
    assert without_fileinfo("application/vnd.xet-fileinfo+json") == "*/*"
    assert without_fileinfo("text/html") == "text/html"


header_names = st.sampled_from(
    [
        *("Accept", "X-Custom", "x-custom", "Connection", "Keep-Alive", "TE", "Upgrade", "Transfer-Encoding", "Range"),
        *("Link", "Proxy-Authorization", "Content-Type", "X-HF-Download-Counter", "User-Agent", "Trailer"),
        "Git-Protocol",
    ]
)
header_values = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=","), max_size=10)
HOP_BY_HOP = {"connection", "keep-alive", "te", "upgrade", "transfer-encoding", "proxy-authorization", "trailer"}


@given(st.lists(st.tuples(header_names, header_values)))
def test_headers_of_the_message_pass_in_their_order_and_those_of_the_connection_do_not(
    headers: list[tuple[str, str]],
) -> None:
    named = {value.casefold() for name, value in headers if name == "Connection"}
    expected = [each for each in headers if each[0].casefold() not in HOP_BY_HOP | named]
    assert asked_of_the_hub(headers) == expected
    assert told_to_the_caller(headers) == expected


def test_what_is_said_to_the_gateway_alone_goes_no_further() -> None:
    private = ["Host", "Authorization", "Cookie", "X-API-Key", "Forwarded", "X-Forwarded-For", "X-Real-IP", "Expect"]
    assert asked_of_the_hub([(name, "x") for name in private]) == []
    origin = ["Set-Cookie", "Strict-Transport-Security", "Alt-Svc", "Access-Control-Allow-Origin", "Clear-Site-Data"]
    assert told_to_the_caller([(name, "x") for name in origin]) == []


def test_a_token_leads_to_the_gateway_and_half_a_token_is_none() -> None:
    route = classify("GET", "/api/models/a/b/xet-read-token/main")
    told = [("X-Xet-Cas-Url", "https://cas.example"), ("X-Xet-Access-Token", "t"), ("X-Xet-Token-Expiration", "9")]
    sealed = "sealed(https://cas.example, t)"
    body = json.dumps({"casUrl": "https://cas.example", "exp": 9, "accessToken": "t"}).encode()
    for mode in (XetMode.HTTP, XetMode.RELAY):
        ours = rewriting(mode=mode)
        assert dict(ours.headers(route, told)) == {
            "X-Xet-Cas-Url": CAS,
            "X-Xet-Access-Token": sealed,
            "X-Xet-Token-Expiration": "9",
        }
        assert json.loads(ours.body(route, body)) == {"casUrl": CAS, "exp": 9, "accessToken": sealed}
        assert ours.headers(route, told[1:]) == told[2:]
    assert rewriting(mode=XetMode.DIRECT).headers(route, told) == told
    assert rewriting(mode=XetMode.DIRECT).body(route, body) == body


def test_git_xet_is_told_a_token_of_ours() -> None:
    header = {"x-xet-cas-url": "https://cas.example", "X-Xet-Access-Token": "t", "X-Xet-Session-Id": "s"}
    href = f"{HUB}/api/models/a/b/xet-write-token/main"
    batch = {"transfer": "xet", "objects": [{"oid": "a" * 64, "actions": {"upload": {"href": href, "header": header}}}]}
    route = classify("POST", "/a/b.git/info/lfs/objects/batch")
    told = json.loads(rewriting(mode=XetMode.RELAY).body(route, json.dumps(batch).encode()))
    assert told["objects"][0]["actions"]["upload"] == {
        "href": f"{BASE}/api/models/a/b/xet-write-token/main",
        "header": {
            "X-Xet-Session-Id": "s",
            "X-Xet-Cas-Url": CAS,
            "X-Xet-Access-Token": "sealed(https://cas.example, t)",
        },
    }


def _place(found: XorbRange) -> str:
    return f"{found.xorb[:1]}:{found.start}-{found.stop}:{found.first_chunk}-{found.last_chunk}:{found.address}"


ONE = {"range": {"start": 0, "end": 4}, "url": "https://t.example/1", "url_range": {"start": 0, "end": 99}}
TWO = {"range": {"start": 6, "end": 7}, "url": "https://t.example/2", "url_range": {"start": 200, "end": 299}}


def test_every_range_of_a_reconstruction_has_an_address_of_its_own_in_either_version() -> None:
    first: dict[str, Any] = {"terms": [], "fetch_info": {"a" * 64: [ONE, TWO]}}
    second: dict[str, Any] = json.loads(json.dumps(first))
    rewrite_reconstruction(first, _place)
    ours = [fetch["url"] for fetch in first["fetch_info"]["a" * 64]]
    assert ours == ["a:0-100:0-4:https://t.example/1", "a:200-300:6-7:https://t.example/2"]
    in_version_2(second)
    rewrite_reconstruction(second, _place)
    assert second == {
        "terms": [],
        "xorbs": {
            "a" * 64: [
                {"url": ours[0], "ranges": [{"chunks": ONE["range"], "bytes": ONE["url_range"]}]},
                {"url": ours[1], "ranges": [{"chunks": TWO["range"], "bytes": TWO["url_range"]}]},
            ]
        },
    }


def test_an_address_for_several_ranges_becomes_several_addresses() -> None:
    parts = [{"chunks": each["range"], "bytes": each["url_range"]} for each in (ONE, TWO)]
    told: dict[str, Any] = {"xorbs": {"a" * 64: [{"url": "https://t.example/x", "ranges": parts}]}}
    rewrite_reconstruction(told, _place)
    assert [(fetch["url"], fetch["ranges"]) for fetch in told["xorbs"]["a" * 64]] == [
        ("a:0-100:0-4:https://t.example/x", parts[:1]),
        ("a:200-300:6-7:https://t.example/x", parts[1:]),
    ]


documents = st.recursive(
    st.none() | st.integers() | st.text(max_size=3) | st.sampled_from(["a" * 64]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["fetch_info", "xorbs", "a" * 64, "url", "range", "url_range", "ranges", "start", "end", "chunks"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(documents)
def test_whatever_a_store_says_is_a_reconstruction_or_none(document: Any) -> None:
    try:
        in_version_2(document)
        rewrite_reconstruction(document, _place)
    except NotAReconstruction:
        pass
