"""Hub paths, read: what kind of call, which repository, what it takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfproxy.upstream.calls import Kind, Right
from hfproxy.upstream.refs import BucketRef, RepoRef, RepoType
from hfproxy.upstream.routes import UnsafePath, classify

MODEL = RepoRef(RepoType.MODEL, "acme", "demo")
DATASET = RepoRef(RepoType.DATASET, "acme", "demo")
GPT2 = RepoRef(RepoType.MODEL, None, "gpt2")


@pytest.mark.parametrize(
    ("method", "target", "kind", "repo", "right"),
    [
        ("GET", "/acme/demo/resolve/refs%2Fpr%2F1/a%20b.txt", Kind.RESOLVE, MODEL, Right.READ),
        ("HEAD", "/datasets/acme/demo/resolve/main/x", Kind.RESOLVE, DATASET, Right.READ),
        ("GET", "/gpt2/resolve/main/x", Kind.RESOLVE, GPT2, Right.READ),
        ("GET", "/acme/demo/raw/main/x", Kind.RAW, MODEL, Right.READ),
        ("GET", "/api/resolve-cache/models/acme/demo/0123/x", Kind.RESOLVE_CACHE, MODEL, Right.READ),
        ("GET", "/api/models/acme/demo", Kind.INFO, MODEL, Right.READ),
        ("GET", "/api/models/gpt2", Kind.INFO, GPT2, Right.READ),
        ("GET", "/api/models/gpt2/revision/main", Kind.INFO, GPT2, Right.READ),
        ("GET", "/api/models/gpt2/tree/tree", Kind.TREE, RepoRef(RepoType.MODEL, "gpt2", "tree"), Right.READ),
        ("GET", "/api/models/acme/demo/tree/main/a%2Fb?recursive=true", Kind.TREE, MODEL, Right.READ),
        ("GET", "/api/models/acme/tree/tree/main", Kind.TREE, RepoRef(RepoType.MODEL, "acme", "tree"), Right.READ),
        ("GET", "/api/models/gpt2/refs", Kind.OTHER, GPT2, Right.READ),
        ("POST", "/api/datasets/acme/demo/paths-info/main", Kind.PATHS_INFO, DATASET, Right.READ),
        ("POST", "/api/models/acme/demo/commit/main?create_pr=1", Kind.COMMIT, MODEL, Right.WRITE),
        ("POST", "/api/models/acme/demo/preupload/main", Kind.PREUPLOAD, MODEL, Right.WRITE),
        ("GET", "/api/models/acme/demo/xet-read-token/main", Kind.XET_READ_TOKEN, MODEL, Right.READ),
        ("GET", "/api/models/acme/demo/xet-write-token/None?create_pr=1", Kind.XET_WRITE_TOKEN, MODEL, Right.WRITE),
        ("GET", "/api/models/acme/demo%2Fxet-write-token/main", Kind.OTHER, None, Right.WRITE),
        ("PUT", "/api/models/acme/demo/settings", Kind.OTHER, MODEL, Right.WRITE),
        ("GET", "/api/models/acme/demo/jwt", Kind.OTHER, MODEL, Right.ACCOUNT),
        ("GET", "/api/settings/webhooks", Kind.OTHER, None, Right.ACCOUNT),
        ("GET", "/settings/tokens", Kind.OTHER, None, Right.ACCOUNT),
        ("GET", "//api//settings/webhooks", Kind.OTHER, None, Right.ACCOUNT),
        ("GET", "/api/whoami-v2", Kind.OTHER, None, Right.READ),
        ("POST", "/api/validate-yaml", Kind.OTHER, None, Right.READ),
        ("POST", "/oauth/token", Kind.OAUTH, None, Right.READ),
        ("POST", "/api/repos/create", Kind.CREATE, None, Right.WRITE),
        ("POST", "/api/buckets/acme/b", Kind.CREATE, None, Right.WRITE),
        ("GET", "/api/buckets/acme/b/xet-write-token", Kind.XET_WRITE_TOKEN, None, Right.WRITE),
        ("GET", "/acme/demo/info/refs?service=git-upload-pack", Kind.GIT_REFS, MODEL, Right.READ),
        ("GET", "/acme/demo.git/info/refs?service=git-receive-pack", Kind.GIT_REFS, MODEL, Right.WRITE),
        ("POST", "/datasets/acme/demo.git/git-upload-pack", Kind.GIT_FETCH, DATASET, Right.READ),
        ("POST", "/acme/demo/git-receive-pack", Kind.GIT_PUSH, MODEL, Right.WRITE),
        ("POST", "/acme/demo.git/info/lfs/objects/batch", Kind.LFS_BATCH, MODEL, Right.WRITE),
        ("GET", "/acme/demo.GIT/info/refs?service=git-upload-pack", Kind.GIT_REFS, MODEL, Right.READ),
        ("GET", "/api/models/gpt2/Xet-Read-Token/main", Kind.XET_READ_TOKEN, GPT2, Right.READ),
        ("GET", "/api/models/acme/Metrics", Kind.INFO, RepoRef(RepoType.MODEL, "acme", "Metrics"), Right.READ),
        ("GET", f"/api/resolve-cache/models/gpt2/{'0' * 40}/x", Kind.RESOLVE_CACHE, GPT2, Right.READ),
        # Whoever ignores case may take these for the Hub's own.
        ("GET", "/API/models", Kind.OTHER, None, Right.READ),
        ("GET", "/Datasets/demo/resolve/main/x", Kind.OTHER, None, Right.READ),
        ("GET", "/api/spaces/hardware", Kind.OTHER, None, Right.READ),
        ("GET", "/api/models?search=x", Kind.OTHER, None, Right.READ),
        ("GET", "/docs/hub/index", Kind.OTHER, None, Right.READ),
    ],
)
def test_a_path_is_read_as_the_hub_reads_it(
    method: str, target: str, kind: Kind, repo: RepoRef | None, right: Right
) -> None:
    route = classify(method, target)
    assert (route.kind, route.repo, route.right) == (kind, repo, right)


@pytest.mark.parametrize("target", ["/a/../b", "/a/%2e%2E/b", "/./a", "/a/b%2F..%2Fc/resolve/main/x"])
def test_a_path_whose_meaning_depends_on_the_reader_is_refused(target: str) -> None:
    with pytest.raises(UnsafePath):
        classify("GET", target)


@given(st.text(st.characters(codec="utf-8")), st.sampled_from(["GET", "POST", "DELETE", "PROPFIND"]))
def test_any_path_is_read_or_refused_and_what_changes_something_is_never_a_read(target: str, method: str) -> None:
    try:
        route = classify(method, "/" + target)
    except UnsafePath:
        return
    assert route.right is not Right.READ or method in {"GET", "POST"}


@pytest.mark.parametrize(
    ("target", "body", "repos"),
    [
        ("create", b'{"name":"demo","organization":"acme","type":"dataset"}', [DATASET]),
        ("create", b'{"name":"demo","organization":null}', [RepoRef(RepoType.MODEL, None, "demo")]),
        ("delete", b'{"name":"acme/demo","organization":null,"type":"model"}', [MODEL]),
        (
            "move",
            b'{"fromRepo":"acme/demo","toRepo":"bob/x","type":"model"}',
            [MODEL, RepoRef.parse(RepoType.MODEL, "bob/x")],
        ),
    ],
)
def test_a_body_names_its_repositories(target: str, body: bytes, repos: list[RepoRef]) -> None:
    assert classify("POST", f"/api/repos/{target}").naming(body).repos == tuple(repos)


def test_a_copy_names_where_it_goes_beside_what_it_copies() -> None:
    copy = RepoRef(RepoType.MODEL, "bob", "copy")
    assert classify("POST", "/api/models/acme/demo/duplicate").naming(b'{"repository":"bob/copy"}').repos == (
        MODEL,
        copy,
    )
    files = b'{"target":{"type":"model","name":"bob/copy"},"files":[]}'
    assert classify("POST", "/api/models/acme/demo/lfs-files/duplicate").naming(files).repos == (MODEL, copy)


@pytest.mark.parametrize(
    "body",
    [
        b'{"repository":"bob/copy","type":"bucket"}',
        b'{"repository":"bob/copy","type":"nonsense"}',
        b'{"repository":"bob/copy","type":"dataset"}',
    ],
)
def test_a_copy_is_of_its_originals_type_whatever_its_body_says(body: bytes) -> None:
    named = classify("POST", "/api/models/acme/demo/duplicate").naming(body)
    assert named.repos == (MODEL, RepoRef(RepoType.MODEL, "bob", "copy"))


@pytest.mark.parametrize("verb", ["duplicate", "Duplicate", "lfs-files/duplicate", "LFS-Files/Duplicate"])
def test_a_call_that_goes_to_another_repository_lacks_its_name_until_the_body_told_it(verb: str) -> None:
    assert classify("POST", f"/api/models/acme/demo/{verb}").lacks_name
    assert not classify("GET", f"/api/models/acme/demo/{verb}").lacks_name


def test_a_space_that_is_given_volumes_is_known_by_path_and_by_body() -> None:
    assert classify("PUT", "/api/spaces/acme/demo/volumes").reaches
    assert not classify("DELETE", "/api/spaces/acme/demo/volumes").reaches
    assert not classify("PUT", "/api/spaces/acme/volumes/settings").reaches
    with_volumes = b'{"name":"acme/x","repository":"acme/x","volumes":[{"type":"model","source":"bob/x"}]}'
    for target in ("/api/repos/create", "/api/spaces/acme/demo/duplicate"):
        assert classify("POST", target).naming(with_volumes).reaches
        assert not classify("POST", target).naming(b'{"name":"acme/x","repository":"acme/x","volumes":[]}').reaches


POOL = BucketRef("acme", "pool")


@pytest.mark.parametrize(
    ("method", "target", "kind", "right"),
    [
        ("GET", "/api/buckets/acme/pool/tree/a?recursive=true", Kind.TREE, Right.READ),
        ("POST", "/api/buckets/acme/pool/paths-info", Kind.PATHS_INFO, Right.READ),
        ("POST", "/api/buckets/acme/pool/batch", Kind.BUCKET_BATCH, Right.WRITE),
        ("POST", "/api/buckets/acme/pool/Batch", Kind.BUCKET_BATCH, Right.WRITE),
        ("GET", "/buckets/acme/pool/resolve/a%2Fb.bin", Kind.RESOLVE, Right.READ),
        ("DELETE", "/api/buckets/acme/pool", Kind.CREATE, Right.WRITE),
    ],
)
def test_a_path_names_its_bucket(method: str, target: str, kind: Kind, right: Right) -> None:
    route = classify(method, target)
    assert (route.kind, route.bucket, route.repos, route.right) == (kind, POOL, (), right)


@pytest.mark.parametrize("target", ["/api/buckets/acme", "/api/buckets/acme/a--b/tree", "/buckets/acme/pool/blob/x"])
def test_what_names_no_bucket_readably_names_none(target: str) -> None:
    assert classify("GET", target).named == ()


def test_a_move_of_a_bucket_names_both() -> None:
    body = b'{"fromRepo":"acme/pool","toRepo":"bob/pool","type":"bucket"}'
    assert classify("POST", "/api/repos/move").naming(body).named == (POOL, BucketRef("bob", "pool"))


def test_a_batch_says_what_it_copies_from() -> None:
    copy = b'{"type":"copyFile","path":"a","xetHash":"0","sourceRepoType":"%s","sourceRepoId":"%s"}'
    batch = classify("POST", "/api/buckets/acme/pool/batch")
    lines = [b'{"type":"addFile","path":"a","xetHash":"0"}', b'{"type":"deleteFile","path":"a"}', b""]
    assert not batch.naming(b"\n".join(lines)).sources
    lines += [copy % (b"model", b"acme/demo"), copy % (b"bucket", b"bob/pool"), copy % (b"model", b"acme/demo")]
    named = batch.naming(b"\n".join(lines))
    assert (named.sources, named.reaches) == ((MODEL, BucketRef("bob", "pool")), False)
    # A line may end where only some say that it does.
    assert batch.naming(b"\r".join(lines)).sources == named.sources


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"copyFile","path":"a"}',
        b'{"type":"copyFile","path":"a","sourceRepoType":"model","sourceRepoId":"a/b/c"}',
        b'{"type":"copyFile","path":"a","sourceRepoType":"nonsense","sourceRepoId":"a/b"}',
        b'{"type":"addFile","path":"a","sourceRepoId":"a/b"}',
        b'{"type":"linkFile","path":"a","from":"a/b"}',
        b'[{"type":"deleteFile","path":"a"}]',
        b"no JSON",
    ],
)
def test_a_batch_that_does_not_say_so_readably_may_copy_from_anywhere(line: bytes) -> None:
    named = classify("POST", "/api/buckets/acme/pool/batch").naming(b'{"type":"deleteFile","path":"a"}\n' + line)
    assert named.reaches


def test_what_is_put_into_a_collection_is_named() -> None:
    items = classify("POST", "/api/collections/acme/mine-0/items")
    assert items.naming(b'{"item":{"type":"model","id":"acme/demo"}}').sources == (MODEL,)
    assert items.naming(b'{"item":{"type":"paper","id":"2401.00001"}}').sources == ()
    assert items.naming(b'{"item":{"type":[],"id":{}}}').sources == ()


def test_a_job_reads_what_its_path_does_not_name() -> None:
    assert classify("POST", "/api/jobs/acme").reaches
    assert not classify("GET", "/api/jobs/acme").reaches


@pytest.mark.parametrize("target", ["/api/SETTINGS/webhooks", "/api/models/acme/demo/JWT", "/API/settings/billing"])
def test_an_accounts_business_is_known_whatever_the_case_of_its_path(target: str) -> None:
    assert classify("GET", target).right is Right.ACCOUNT


def test_an_lfs_batch_reads_only_if_it_says_download() -> None:
    route = classify("POST", "/acme/demo.git/info/lfs/objects/batch")
    assert route.naming(b'{"operation":"download"}').right is Right.READ
    assert route.naming(b'{"operation":"upload"}').right is Right.WRITE
    assert route.naming(b"\x1f\x8b").right is Right.WRITE
