"""Git under the sandbox: real ids, trees edited in place, refs that do not lose updates."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from dulwich.repo import MemoryRepo, Repo
from hypothesis import given
from hypothesis import strategies as st

from hfproxy.sandbox.history import MAIN, HeadMoved, History, Signature
from hfproxy.sandbox.pointers import Pointer
from hfproxy.sandbox.refusals import RevisionMissing

ALICE = Signature("alice", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


def commit(history: History, **files: bytes | None) -> str:
    """Files by path, `__` for a slash; None deletes."""
    changes = {
        path.replace("__", "/"): None if content is None else history.add_blob(content)
        for path, content in files.items()
    }
    head = history.ref(MAIN)
    return history.commit(MAIN, changes, by=ALICE, message="change", parent=head, moving_from=head)


@pytest.fixture
def history() -> History:
    return History(MemoryRepo())


def test_git_itself_reads_what_was_written(tmp_path: Path) -> None:
    history = History(Repo.init_bare(tmp_path / "git", mkdir=True, default_branch=b"main"))
    commit(history, a=b"a", folder__b=b"b")
    commit(history, a=None, folder__deep__c=b"c")
    history.tag("v1", history.resolve("main"), "the first", ALICE)
    history.close()

    def git(*arguments: str) -> str:
        return subprocess.check_output(["git", "-C", tmp_path / "git", *arguments], text=True).strip()

    git("fsck", "--strict")
    assert git("ls-tree", "-r", "--name-only", "v1").splitlines() == ["folder/b", "folder/deep/c"]
    assert git("log", "--format=%an %s", "main").splitlines() == ["alice change", "alice change"]
    assert git("rev-parse", "HEAD") == git("rev-parse", "v1^{commit}")


def test_a_revision_is_a_branch_a_tag_a_ref_a_commit_or_its_beginning(history: History) -> None:
    first = commit(history, a=b"a")
    second = commit(history, b=b"b")
    history.tag("v1", first, "annotated", ALICE)
    history.set_ref("refs/pr/1", second)
    for revision in (first, first.upper(), first[:7], "v1", "refs/tags/v1"):
        assert history.resolve(revision) == first, revision
    for revision in ("main", "refs/heads/main", "refs/pr/1"):
        assert history.resolve(revision) == second, revision
    blob = history.add_blob(b"a")
    for revision in ("", "nowhere", first[:6], "0" * 40, blob, "refs/pr/2", "a b", "..", "main~1"):
        with pytest.raises(RevisionMissing):
            history.resolve(revision)


def test_a_folder_goes_away_with_its_last_file(history: History) -> None:
    commit(history, folder__deep__a=b"a", other=b"o")
    head = commit(history, folder__deep__a=None)
    assert [entry.path for entry in history.walk(head)] == ["other"]


def test_a_file_may_become_a_folder_and_a_folder_a_file(history: History) -> None:
    commit(history, a=b"file", b__inner=b"x")
    head = commit(history, a__inner=b"y", b__inner=None, b=b"file")
    assert sorted(entry.path for entry in history.files(head)) == ["a/inner", "b"]


def test_a_large_file_is_told_by_its_own_size_and_sha256(history: History) -> None:
    pointer = Pointer("ab" * 32, 5_000_000_000)
    head = commit(history, weights=bytes(pointer))
    entry = history.entry(head, "weights")
    assert entry is not None
    assert (entry.size_bytes, entry.etag, entry.pointer_size_bytes) == (5_000_000_000, "ab" * 32, len(bytes(pointer)))


def test_two_writers_from_the_same_head_do_not_both_win(history: History) -> None:
    base = commit(history, a=b"a")
    commit(history, b=b"b")
    with pytest.raises(HeadMoved):
        history.commit(MAIN, {"c": history.add_blob(b"c")}, by=ALICE, message="late", parent=base, moving_from=base)


def test_the_last_change_of_each_path_is_found(history: History) -> None:
    first = commit(history, a=b"a", folder__b=b"b")
    second = commit(history, folder__b=b"changed")
    found = history.last_changes(second, ["a", "folder", "folder/b"])
    assert {path: change.commit_hash for path, change in found.items()} == {
        "a": first,
        "folder": second,
        "folder/b": second,
    }


def test_history_is_rewritten_without_large_files_on_every_ref(history: History) -> None:
    gone, kept = Pointer("aa" * 32, 1), Pointer("bb" * 32, 1)
    commit(history, gone=bytes(gone), folder__only=bytes(gone), kept=bytes(kept))
    history.set_ref("refs/heads/other", commit(history, text=b"t"))
    history.rewrite_without({gone.oid})
    for branch in ("main", "other"):
        changes = list(history.log(history.resolve(branch)))
        assert len(changes) == 2
        assert [entry.path for entry in history.files(changes[1].commit_hash)] == ["kept"]
        assert [entry.path for entry in history.files(changes[0].commit_hash)] == ["kept", "text"]
    assert history.resolve("main") == history.resolve("other")


paths = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3).map("/".join)


@given(st.lists(st.dictionaries(paths, st.binary(max_size=3), max_size=4), max_size=4))
def test_a_tree_holds_exactly_the_files_that_were_put_into_it(commits: list[dict[str, bytes]]) -> None:
    history, model = History(MemoryRepo()), dict[str, bytes]()
    for files in commits:
        # As a commit does: a later path wins over an earlier one that it cannot stand beside.
        clean = {p: c for p, c in files.items() if not any(q.startswith(f"{p}/") for q in files)}
        clashing = {q for p in clean for q in model if q.startswith(f"{p}/") or p.startswith(f"{q}/")}
        head = history.ref(MAIN)
        changes = {**dict.fromkeys(clashing), **{path: history.add_blob(content) for path, content in clean.items()}}
        history.commit(MAIN, changes, by=ALICE, message="m", parent=head, moving_from=head)
        model = {path: content for path, content in model.items() if path not in clashing} | clean
        found = {entry.path: history.read(entry.oid) for entry in history.files(history.resolve("main"))}
        assert found == model


@given(st.binary(max_size=300))
def test_only_a_pointer_is_a_pointer(content: bytes) -> None:
    parsed = Pointer.parse(content)
    assert parsed is None or bytes(parsed).strip() == content.strip()
