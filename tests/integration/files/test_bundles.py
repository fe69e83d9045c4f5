"""Kept repositories are carried to where no Hub is; rights and hashes are carried with them."""

import asyncio
import contextlib
import fcntl
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hfproxy.features.files.upkeep import verify
from hfproxy.features.stocking.importing import BadBundle, BundleReader
from hfproxy.sandbox.config import SandboxConfig
from hfproxy.sandbox.server import running_sandbox
from hfproxy.storage.blobs import Algorithm, BlobKey
from hfproxy.storage.disk import disk_blobs
from hfproxy.upstream.refs import RepoRef, RepoType
from tests.support.command import environment, hfproxy
from tests.support.gateway import Gateway, gateway_for
from tests.support.mounts import read_only, small_disk

ALICE, BOB = "hf_sandbox_alice", "hf_sandbox_bob"
LARGE = bytes(range(256)) * 8192
FILES = {"a.json": b"{}", "large.txt": LARGE, "empty": b""}
NOWHERE = "http://127.0.0.1:9"


async def command(*arguments: str, root: Path, stdin: bytes | None = None, **variables: str) -> Any:
    settings = {"HFPROXY_STORAGE__ROOT": str(root), **variables}
    if stdin is None:
        return await asyncio.to_thread(lambda: hfproxy(*arguments, cwd=root.parent, timeout_s=120, **settings))
    run = [sys.executable, "-m", "hfproxy", *arguments]
    return await asyncio.to_thread(
        lambda: subprocess.run(run, input=stdin, env=environment(**settings), capture_output=True, check=False)
    )


async def status(gateway: Gateway, path: str, token: str | None = None) -> tuple[int, bytes]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with gateway.http.get(f"{gateway.url}/{path}", headers=headers) as answer:
        return answer.status, await answer.read()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of one public and one private repository."""
    folder = tmp_path_factory.mktemp("bundle")

    async def make() -> None:
        async with running_sandbox(SandboxConfig()) as sandbox:
            for name, visibility in (("open", "public"), ("secret", "private")):
                ref = RepoRef.parse(RepoType.MODEL, f"alice/{name}")
                sandbox.hub.create_repo(ref, by="alice", files=FILES, visibility=visibility)
                settings = {"HF_ENDPOINT": sandbox.url, "HF_TOKEN": ALICE}
                done = await command("cache", "warm", f"alice/{name}", "--json", root=folder / "data", **settings)
                assert done.returncode == 0, done
                told = json.loads(done.stdout)
                # And the .gitattributes that each repository is born with; the second has the same bytes as the first.
                fetched, had = (len(FILES) + 1, 0) if name == "open" else (0, len(FILES) + 1)
                assert (told["repo"], told["fetched"], told["had"]) == (f"alice/{name}", fetched, had)
                assert (told["bytes"] > len(LARGE), told["problems"]) == (True, [])
        names = ("alice/open", "alice/secret@main")
        done = await command(
            "cache", "export", *names, "-o", str(folder / "b.tar"), root=folder / "data", HF_TOKEN=ALICE
        )
        assert done.returncode == 0, done
        assert "alice/open" in done.stderr
        assert done.stderr.count("public") == done.stderr.count("restricted") == 1

    asyncio.run(make())
    return folder / "b.tar"


async def test_what_was_public_is_everybodys_and_the_rest_the_gateways_own(bundle: Path, tmp_path: Path) -> None:
    root = tmp_path / "there"
    async with gateway_for(NOWHERE, root, UPSTREAM__TOKEN="", FILES__OFFLINE="true") as gateway:
        assert (await status(gateway, "alice/open/resolve/main/large.txt"))[0] == 504
        done = await command("cache", "import", str(bundle), "--pin", root=root)  # beside a gateway that runs
        assert done.returncode == 0, done
        for name in ("open", "secret"):
            for path, content in FILES.items():
                assert await status(gateway, f"alice/{name}/resolve/main/{path}") == (200, content)
            assert (await status(gateway, f"api/models/alice/{name}/revision/main"))[0] == 200
        assert await status(gateway, "alice/open/resolve/main/a.json", "hf_somebodys_own") == (200, b"{}")
        assert (await status(gateway, "api/models/alice/open", "hf_somebodys_own"))[0] == 200
        assert (await status(gateway, "alice/secret/resolve/main/a.json", "hf_somebodys_own"))[0] == 504
        assert (await status(gateway, "api/models/alice/secret", "hf_somebodys_own"))[0] == 504
    listed = json.loads((await command("cache", "list", "--json", root=root)).stdout)
    assert [len(each["pinned"]) for each in listed] == [1, 1]
    again = await command("cache", "import", "-", root=root, stdin=bundle.read_bytes())
    assert again.returncode == 0, again


async def test_a_gateway_that_reaches_the_hub_asks_it_about_what_was_brought_in(bundle: Path, tmp_path: Path) -> None:
    done = await command("cache", "import", str(bundle), "--json", root=tmp_path / "there")
    assert done.returncode == 0, done
    brought = {repo["repo"]: repo for repo in json.loads(done.stdout)["repositories"]}
    assert {name: repo["access"] for name, repo in brought.items()} == {
        "alice/open": "public",
        "alice/secret": "restricted",
    }
    assert all(repo["listed"] and repo["files"] == len(FILES) + 1 for repo in brought.values())
    # Ages are those of the exporting gateway: on a fast machine all is still fresh enough not to be asked about.
    asks = {"UPSTREAM__TOKEN": BOB, "FILES__FRESH_FOR": "0s", "FILES__RIGHTS_FOR": "0s"}
    async with running_sandbox(SandboxConfig()) as sandbox:  # one that has no such repositories
        async with gateway_for(sandbox.url, tmp_path / "there", **asks) as gateway:
            for name in ("open", "secret"):
                assert (await status(gateway, f"alice/{name}/resolve/main/a.json"))[0] == 404
        upstream = sandbox.url
    async with gateway_for(upstream, tmp_path / "there", **asks) as gateway:
        # It is away now: what an operator brought in for offline gateways opens nothing.
        assert (await status(gateway, "alice/secret/resolve/main/a.json"))[0] in {404, 502}


def _rewritten(change: Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes] | None], bundle: Path) -> bytes:
    made = io.BytesIO()
    with tarfile.open(bundle) as old, tarfile.open(fileobj=made, mode="w") as new:
        for member in old:
            file = old.extractfile(member)
            assert file is not None
            if (changed := change(member, file.read())) is not None:
                new.addfile(changed[0], io.BytesIO(changed[1]))
    return made.getvalue()


def _damaged(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    return member, content[:-1] + b"?" if member.size == len(LARGE) else content


def _small_damaged(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    return member, b"[]" if content == b"{}" else content


def _left_out(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes] | None:
    return None if member.size == len(LARGE) else (member, content)


def _climbing(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    if member.size == len(LARGE):
        member.name = "../../../climbed"
    return member, content


def _linking(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    if member.size == len(LARGE):
        member.type, member.linkname, member.size = tarfile.SYMTYPE, "/etc/passwd", 0
    return member, content


def _told(old: bytes, new: bytes) -> Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes]]:
    def change(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
        if member.name == "manifest.json":
            assert old in content
            content = content.replace(old, new)
            member.size = len(content)
        return member, content

    return change


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (_damaged, "damaged"),
        (_small_damaged, "damaged"),
        (_left_out, "too early"),
        (_climbing, "does not belong"),
        (_linking, "not a plain file"),
        (_told(b'"path":"a.json"', b'"path":"../a.json"'), "no bundle"),
        (_told(b'"version":1', b'"version":2'), "no bundle"),
        (_told(b'"repo":"alice/open"', b'"repo":"alice/../open"'), "no bundle"),
        (_told(b'"inline; filename', b'"inline\\r\\nX-Evil: 1; filename'), "value of a header"),
        (_told(b'"application/json; charset=utf-8"', b'"a\\nX-Evil: 1"'), "value of a header"),
        (_told(b'["Vary",', b'["Content-Length",'), "must be a header"),
        (_told(b'["Vary",', b'["Transfer-Encoding",'), "must be a header"),
        (_told(b'["Vary",', b'["Set-Cookie",'), "must be a header"),
        (_told(b'["Vary",', b'["",'), "must be a header"),
        (_told(b'"revisions":{"main"', b'"revisions":{"\\u0000":1.0,"main"'), "without NUL"),
    ],
)
async def test_a_bundle_that_is_not_what_it_says_keeps_nothing_wrong(
    bundle: Path, tmp_path: Path, change: Callable[..., Any], word: str
) -> None:
    async with disk_blobs(tmp_path / "blobs") as blobs:
        with pytest.raises(BadBundle, match=word):
            await BundleReader(io.BytesIO(_rewritten(change, bundle))).copy_to(blobs, progressed=lambda _: None)
        kept = [info async for info in blobs.list()]
        assert all(info.complete for info in kept)
        assert BlobKey.of(LARGE, Algorithm.GIT) not in {info.key for info in kept}
        assert [right async for *_, right in verify(blobs) if right is False] == []


def _extended(**records: bytes) -> bytes:
    """A head that changes what the next one says (POSIX pax)."""
    content = b""
    for keyword, value in records.items():
        record = b" " + keyword.replace("_", ".").encode() + b"=" + value + b"\n"
        length = next(n for n in range(len(record), len(record) + 20) if n == len(record) + len(str(n)))
        content += str(length).encode() + record
    return _head(tarfile.XHDTYPE, content)


def _head(kind: bytes, content: bytes) -> bytes:
    info = tarfile.TarInfo("head")
    info.type, info.size = kind, len(content)
    return info.tobuf() + content + bytes(-len(content) % tarfile.BLOCKSIZE)


@pytest.mark.parametrize(
    "head",
    [
        _extended(comment=b"x") * 2000,
        _extended(comment=b"x" * 100_000),
        _extended(GNU_sparse_map=b"a,b"),
        _extended(GNU_sparse_map=b"0,1"),
        _extended(GNU_sparse_size=b"x"),
        _extended(GNU_sparse_major=b"1", GNU_sparse_minor=b"0"),
        _head(tarfile.GNUTYPE_LONGNAME, b"a" * 100_000),
    ],
    ids=["a thousand", "large", "no sparse map", "sparse map", "sparse size", "sparse", "long name"],
)
async def test_heads_that_no_bundle_has_are_refused(bundle: Path, tmp_path: Path, head: bytes) -> None:
    content = bundle.read_bytes()
    with tarfile.open(bundle) as tar:
        tar.next()
        second = tar.next()
        assert second is not None
    for place in (0, second.offset):
        hostile = io.BytesIO(content[:place] + head + content[place:])
        async with disk_blobs(tmp_path / "blobs") as blobs:
            with pytest.raises(BadBundle):
                await BundleReader(hostile).copy_to(blobs, progressed=lambda _: None)


@pytest.mark.parametrize("size_bytes", [0, 5, 700, 2_000_000])
async def test_what_is_no_bundle_or_half_of_one_is_refused(bundle: Path, tmp_path: Path, size_bytes: int) -> None:
    content = b"hello" if size_bytes == 5 else bundle.read_bytes()[:size_bytes]
    async with disk_blobs(tmp_path / "blobs") as blobs:
        with pytest.raises(BadBundle):
            await BundleReader(io.BytesIO(content)).copy_to(blobs, progressed=lambda _: None)
        assert all([info.complete async for info in blobs.list()])


async def test_a_command_that_cannot_do_it_says_why_and_leaves_nothing(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.tar").write_bytes(_rewritten(_damaged, bundle))
    done = await command("cache", "import", str(tmp_path / "bad.tar"), root=tmp_path / "there")
    assert (done.returncode, "damaged" in done.stderr, "Traceback" in done.stderr) == (1, True, False), done
    nothing = await command("cache", "export", "alice/open", "-o", str(tmp_path / "x.tar"), root=tmp_path / "there")
    assert (nothing.returncode, list(tmp_path.glob("*x.tar*"))) == (1, []), nothing


async def test_an_export_that_cannot_be_written_names_its_file_and_leaves_what_was_there(
    bundle: Path, tmp_path: Path
) -> None:
    root, written = bundle.parent / "data", tmp_path / "small/x.tar"
    names = ("cache", "export", "alice/open", "-o", str(written))
    with small_disk(written.parent, 1024**2):
        written.write_bytes(b"the last one")
        full = await command(*names, root=root, HF_TOKEN=ALICE)
        assert (full.returncode, "Traceback" in full.stderr) == (1, False), full
        assert f"{written} cannot be written: No space left on device" in full.stderr
        assert (list(written.parent.iterdir()), written.read_bytes()) == ([written], b"the last one")
    with read_only(tmp_path):
        refused = await command(*names, root=root, HF_TOKEN=ALICE)
        assert (refused.returncode, f"{written} cannot be written: Read-only" in refused.stderr) == (1, True), refused


async def test_what_a_killed_export_left_goes_with_the_next_and_what_one_writes_stays(
    bundle: Path, tmp_path: Path
) -> None:
    left, written = tmp_path / ".x.tar.1.part", tmp_path / ".x.tar.2.part"
    left.write_bytes(b"half")
    with written.open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        names = ("cache", "export", "alice/open", "-o", str(tmp_path / "x.tar"))
        done = await command(*names, root=bundle.parent / "data", HF_TOKEN=ALICE)
        assert done.returncode == 0, done
        assert sorted(tmp_path.iterdir()) == [written, tmp_path / "x.tar"]


async def test_a_named_pipe_is_written_to_and_not_replaced_by_a_file(bundle: Path, tmp_path: Path) -> None:
    """Nor is a device: an export to /dev/null took it from the whole machine."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading, received = os.open(pipe, os.O_RDWR | os.O_NONBLOCK), bytearray()
    asyncio.get_running_loop().add_reader(reading, lambda: received.extend(os.read(reading, 1 << 20)))
    names = ("cache", "export", "alice/open", "-o", str(pipe), "--json")
    done = await command(*names, root=bundle.parent / "data", HF_TOKEN=ALICE)
    asyncio.get_running_loop().remove_reader(reading)
    with contextlib.suppress(BlockingIOError):
        while True:
            received.extend(os.read(reading, 1 << 20))
    os.close(reading)
    assert done.returncode == 0, done
    assert [repo["repo"] for repo in json.loads(done.stdout)["repositories"]] == ["alice/open"]
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]
    with tarfile.open(fileobj=io.BytesIO(received)) as tar:
        assert len(tar.getnames()) >= len(FILES)


async def test_a_clients_cache_is_taken_in_and_its_bytes_are_not_fetched_again(tmp_path: Path) -> None:
    folder = tmp_path / "home/hub/models--alice--open"
    snapshot, blobs = folder / "snapshots" / ("1" * 40), folder / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    async with running_sandbox(SandboxConfig()) as sandbox:
        ref = RepoRef.parse(RepoType.MODEL, "alice/open")
        sandbox.hub.create_repo(ref, by="alice", files=FILES, visibility="private")
        for path, content in FILES.items():
            (blobs / BlobKey.of(content, Algorithm.GIT).digest).write_bytes(content)
            (snapshot / path).symlink_to(blobs / BlobKey.of(content, Algorithm.GIT).digest)
        # Without symbolic links, as on Windows, the client moves files to where their names tell no hash.
        (snapshot / "a.json").unlink()
        (blobs / BlobKey.of(b"{}", Algorithm.GIT).digest).rename(snapshot / "a.json")
        (blobs / ("0" * 40)).write_bytes(b"not what it says")
        (blobs / f"{'1' * 64}.incomplete").write_bytes(b"half")
        done = await command("cache", "import", str(tmp_path / "home"), root=tmp_path / "data")
        assert (done.returncode, "3 files taken in" in done.stdout, "0" * 40 in done.stderr) == (1, True, True), done
        (blobs / ("0" * 40)).unlink()
        done = await command(
            "cache", "import", "--json", root=tmp_path / "data", HF_HUB_CACHE=str(tmp_path / "home/hub")
        )
        assert done.returncode == 0, done
        assert json.loads(done.stdout) == {"new": 0, "had": 3, "repositories": [], "problems": []}
        async with gateway_for(sandbox.url, tmp_path / "data", UPSTREAM__TOKEN=ALICE) as gateway:
            # What only some may see is nobody else's, wherever its bytes came from.
            assert (await status(gateway, "alice/open/resolve/main/a.json", BOB))[0] == 404
            before = len(list(sandbox.asked))
            for path, content in FILES.items():
                assert await status(gateway, f"alice/open/resolve/main/{path}") == (200, content)
        assert {asked.method for asked in list(sandbox.asked)[before:]} == {"HEAD"}
