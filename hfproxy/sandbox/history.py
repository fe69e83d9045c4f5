"""One repository's git: branches, tags, commits, trees and blobs, with git's own ids.

Everything is in a dulwich repository, in memory or bare on disk, so that git itself can be served from it. Objects are
always written before the ref that names them.
"""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from stat import S_ISDIR

from dulwich.objects import Blob, Commit, ObjectID, Tag, Tree
from dulwich.patch import write_tree_diff
from dulwich.refs import Ref, check_ref_format
from dulwich.repo import BaseRepo, Repo
from dulwich.walk import ORDER_TOPO

from hfproxy.upstream.refs import is_commit_hash

from .pointers import LONGEST_POINTER_BYTES, Pointer
from .refusals import RevisionMissing

FILE_MODE = 0o100644
FOLDER_MODE = 0o040000
SHORTEST_HASH = 7
MAIN = "refs/heads/main"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder in a tree. `size_bytes` of a large file is its own, not its pointer's."""

    path: str
    oid: str
    is_folder: bool = False
    size_bytes: int = 0
    pointer: Pointer | None = None
    pointer_size_bytes: int = 0

    @property
    def etag(self) -> str:
        """What `resolve` calls the content: a large file's sha256, else git's id of the blob."""
        return self.pointer.oid if self.pointer else self.oid


@dataclass(frozen=True, slots=True)
class Change:
    """One commit, as listings tell it."""

    commit_hash: str
    title: str
    message: str
    author: str
    date: datetime
    parents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Signature:
    """Who makes a commit, and when."""

    name: str
    when: datetime

    def __bytes__(self) -> bytes:
        return f"{self.name} <{self.name}@users.noreply.hf.co>".encode()


class HeadMoved(Exception):
    """The ref no longer names the commit that it should have."""


class History:
    """Reads and writes one git repository. Revisions come as text, hashes are 40 lower-case hex digits."""

    def __init__(self, git: BaseRepo) -> None:
        self.git = git
        self._facts: dict[str, tuple[int, Pointer | None]] = {}

    def close(self) -> None:
        """Close the files of a repository on disk."""
        if isinstance(self.git, Repo):
            self.git.close()

    # Revisions and refs

    def resolve(self, revision: str) -> str:
        """The commit hash that a branch, tag, `refs/…`, commit, short commit or HEAD means. Raises RevisionMissing."""
        if is_commit_hash(revision):
            return self._commit_of(revision.lower(), revision)
        names = [f"refs/heads/{revision}", f"refs/tags/{revision}"]
        for name in [revision, *names] if revision.startswith("refs/") else names:
            if found := self.ref(name):
                return self._commit_of(found, revision)
        if SHORTEST_HASH <= len(revision) < 40 and all(digit in "0123456789abcdef" for digit in revision):
            for oid in self.git.object_store.iter_prefix(revision.encode()):
                if isinstance(self.git.object_store[oid], Commit):
                    return oid.decode()
        # `@huggingface/hub` asks so where it is told no revision (`lib/model-info.ts`, `lib/dataset-info.ts`).
        if revision == "HEAD" and (found := self.ref("refs/heads/main")):
            return self._commit_of(found, revision)
        raise RevisionMissing(revision)

    def ref(self, name: str) -> str | None:
        """What a full ref name points at: a commit, or an annotated tag."""
        if not valid_ref(name):
            return None
        found = self.git.refs.read_loose_ref(Ref(name.encode())) or self.git.refs.get_packed_refs().get(
            Ref(name.encode())
        )
        return found.decode() if found else None

    def refs(self, prefix: str) -> dict[str, str]:
        """Short names under a prefix such as `refs/heads/`, and the commits they mean."""
        base = Ref(prefix.removesuffix("/").encode())
        found = {name.decode(): oid.decode() for name, oid in self.git.refs.as_dict(base).items()}
        return {name: self._commit_of(found[name], name) for name in sorted(found)}

    def set_ref(self, name: str, commit_hash: str, *, expected: str | None = None) -> None:
        """Point a ref at a commit, which must be there already. Raises HeadMoved when it is not at `expected`."""
        ref, target = Ref(name.encode()), ObjectID(commit_hash.encode())
        before = ObjectID(expected.encode()) if expected else None
        if not self.git.refs.set_if_equals(ref, before, target):
            raise HeadMoved(name)

    def drop_ref(self, name: str) -> None:
        self.git.refs.remove_if_equals(Ref(name.encode()), None)

    def tag(self, name: str, commit_hash: str, message: str, by: Signature) -> None:
        """Make an annotated tag."""
        tag = Tag()
        tag.name, tag.message = name.encode(), message.encode()
        tag.object = (Commit, ObjectID(commit_hash.encode()))
        tag.tagger, tag.tag_time, tag.tag_timezone = bytes(by), int(by.when.timestamp()), 0
        self.git.object_store.add_object(tag)
        self.set_ref(f"refs/tags/{name}", tag.id.decode())

    # Reading

    def entry(self, commit_hash: str, path: str) -> Entry | None:
        """The file or folder at a path of a commit; "" is the root folder."""
        mode, oid = FOLDER_MODE, self.tree_of(commit_hash)
        for name in path.split("/") if path else ():
            tree = self.git.object_store[oid]
            try:
                mode, oid = tree[name.encode()] if isinstance(tree, Tree) else (0, ObjectID(b""))
            except KeyError:
                return None
            if not mode:
                return None
        return self._entry(path, mode, oid)

    def walk(self, commit_hash: str, path: str = "", *, recursive: bool = True) -> Iterator[Entry]:
        """What is under a folder, folders before files as the Hub lists them; nothing where there is none."""
        folder = self.entry(commit_hash, path)
        if folder is not None and folder.is_folder:
            yield from self._walk(folder, recursive)

    def files(self, commit_hash: str) -> list[Entry]:
        """All files of a commit, sorted by path."""
        return sorted((e for e in self.walk(commit_hash) if not e.is_folder), key=lambda entry: entry.path)

    def read(self, oid: str) -> bytes:
        """A blob's bytes as git has them: of a large file, the pointer."""
        return self.git.object_store[ObjectID(oid.encode())].as_raw_string()

    def change(self, commit_hash: str) -> Change:
        """One commit's facts."""
        commit = self._commit(commit_hash)
        title, _, rest = commit.message.decode(errors="replace").partition("\n")
        return Change(
            commit_hash=commit_hash,
            title=title,
            message=rest.strip("\n"),
            author=commit.author.decode(errors="replace").partition(" <")[0],
            date=datetime.fromtimestamp(commit.commit_time, UTC),
            parents=tuple(parent.decode() for parent in commit.parents),
        )

    def log(self, commit_hash: str) -> Iterator[Change]:
        """A commit and all before it, newest first."""
        for step in self.git.get_walker(include=[ObjectID(commit_hash.encode())], order=ORDER_TOPO):
            yield self.change(step.commit.id.decode())

    def last_changes(self, commit_hash: str, paths: list[str]) -> dict[str, Change]:
        """For each path the newest commit that changed it."""
        found: dict[str, Change] = {}
        wanted = {path: self._oid_at(commit_hash, path) for path in paths}
        for change in self.log(commit_hash):
            for path, oid in list(wanted.items()):
                if not change.parents or all(self._oid_at(parent, path) != oid for parent in change.parents):
                    found[path] = change
                    del wanted[path]
            if not wanted:
                break
        return found

    # Writing

    def add_blob(self, content: bytes) -> str:
        """Keep a file's bytes; git's id of them. Nothing names them until a commit does."""
        blob = Blob.from_string(content)
        self.git.object_store.add_object(blob)
        return blob.id.decode()

    def commit(
        self,
        ref: str,
        changes: Mapping[str, str | None],
        *,
        by: Signature,
        message: str,
        parent: str | None,
        moving_from: str | None,
    ) -> str:
        """Add a commit on `parent` and point `ref` at it; its hash.

        changes: path to blob id, or to None for what goes away, a whole folder included. The ref must be at
        `moving_from` (None: anywhere, or not there yet). Raises HeadMoved; what was written is then named by nothing.
        """
        tree = self._edit(self.tree_of(parent) if parent else None, split_by_folder(changes))
        commit_hash = self._write_commit(tree or self._add_tree(Tree()), by, message, parent)
        self.set_ref(ref, commit_hash, expected=moving_from)
        return commit_hash

    def squash(self, ref: str, *, by: Signature, message: str) -> str:
        """Replace a branch's history by one commit of the same tree."""
        commit_hash = self._write_commit(self.tree_of(self.resolve(ref)), by, message, None)
        self.set_ref(ref, commit_hash)
        return commit_hash

    def squash_to_nothing(self, ref: str, *, by: Signature) -> str:
        """Begin a branch without files and without a past."""
        commit_hash = self._write_commit(self._add_tree(Tree()), by, "initial commit", None)
        self.set_ref(ref, commit_hash)
        return commit_hash

    def common_ancestor(self, one: str, other: str) -> str | None:
        """The newest commit that is in the past of both."""
        past = {change.commit_hash for change in self.log(one)}
        return next((change.commit_hash for change in self.log(other) if change.commit_hash in past), None)

    def patch(self, old: str, new: str) -> str:
        """What changed from one commit to another, as git prints it."""
        patch = io.BytesIO()
        write_tree_diff(patch, self.git.object_store, self.tree_of(old), self.tree_of(new))
        return patch.getvalue().decode(errors="replace")

    def rewrite_without(self, oids: set[str]) -> None:
        """Write all history anew as if these large files had never been committed, and move every ref to it."""
        rewritten: dict[str, str] = {}
        trees: dict[ObjectID, ObjectID] = {}
        for name, head in self.refs("refs/").items():
            for change in reversed(list(self.log(head))):
                if change.commit_hash not in rewritten:
                    rewritten[change.commit_hash] = self._commit_anew(change, rewritten, trees, oids)
            if rewritten[head] != head:
                self.set_ref(f"refs/{name}", rewritten[head])

    def tree_of(self, commit_hash: str) -> ObjectID:
        tree: ObjectID = self._commit(commit_hash).tree
        return tree

    def _write_commit(self, tree: ObjectID, by: Signature, message: str, parent: str | None) -> str:
        commit = Commit()
        commit.tree = tree
        commit.parents = [ObjectID(parent.encode())] if parent else []
        commit.author = commit.committer = bytes(by)
        commit.author_time = commit.commit_time = int(by.when.timestamp())
        commit.author_timezone = commit.commit_timezone = 0
        commit.encoding = b"UTF-8"
        commit.message = message.encode()
        self.git.object_store.add_object(commit)
        return commit.id.decode()

    def _commit_anew(
        self, change: Change, rewritten: dict[str, str], trees: dict[ObjectID, ObjectID], oids: set[str]
    ) -> str:
        commit = self._commit(change.commit_hash).copy()
        assert isinstance(commit, Commit)
        commit.tree = self._tree_without(commit.tree, trees, oids)
        commit.parents = [ObjectID(rewritten[parent].encode()) for parent in change.parents]
        self.git.object_store.add_object(commit)
        return commit.id.decode()

    def _tree_without(self, tree_id: ObjectID, trees: dict[ObjectID, ObjectID], oids: set[str]) -> ObjectID:
        if tree_id not in trees:
            tree, kept = self.git.object_store[tree_id], Tree()
            assert isinstance(tree, Tree)
            for item in tree.iteritems():
                oid = item.sha
                if S_ISDIR(item.mode):
                    oid = self._tree_without(oid, trees, oids)
                    inner = self.git.object_store[oid]
                    if isinstance(inner, Tree) and not len(inner):
                        continue
                elif (pointer := self._facts_of(oid.decode())[1]) and pointer.oid in oids:
                    continue
                kept.add(item.path, item.mode, oid)
            trees[tree_id] = self._add_tree(kept)
        return trees[tree_id]

    def _edit(self, tree_id: ObjectID | None, changes: "Folder") -> ObjectID | None:
        """The tree with changes made; None when nothing is left in it."""
        tree = Tree()
        if tree_id:
            tree.set_raw_string(self.git.object_store[tree_id].as_raw_string())
        for name, change in changes.items():
            raw = name.encode()
            if isinstance(change, dict):
                mode, oid = tree[raw] if raw in tree else (0, tree_id)  # noqa: SIM401 - a Tree has no get
                edited = self._edit(oid if S_ISDIR(mode) else None, change)
                if edited:
                    tree[raw] = (FOLDER_MODE, edited)
                elif raw in tree and S_ISDIR(mode):
                    del tree[raw]
            elif change is None:
                if raw in tree:
                    del tree[raw]
            else:
                tree[raw] = (FILE_MODE, ObjectID(change.encode()))
        return self._add_tree(tree) if len(tree) else None

    def _add_tree(self, tree: Tree) -> ObjectID:
        self.git.object_store.add_object(tree)
        return tree.id

    def _commit(self, commit_hash: str) -> Commit:
        found = self.git.object_store[ObjectID(commit_hash.encode())]
        assert isinstance(found, Commit)
        return found

    def _commit_of(self, oid: str, asked: str) -> str:
        """The commit an object is, an annotated tag taken off."""
        try:
            found = self.git.object_store[ObjectID(oid.encode())]
        except KeyError:
            raise RevisionMissing(asked) from None
        if isinstance(found, Tag):
            return self._commit_of(found.object[1].decode(), asked)
        if not isinstance(found, Commit):
            raise RevisionMissing(asked)
        return found.id.decode()

    def _walk(self, folder: Entry, recursive: bool) -> Iterator[Entry]:
        tree = self.git.object_store[ObjectID(folder.oid.encode())]
        assert isinstance(tree, Tree)
        prefix = f"{folder.path}/" if folder.path else ""
        found = [self._entry(prefix + item.path.decode(), item.mode, item.sha) for item in tree.iteritems()]
        for entry in sorted(found, key=lambda entry: (not entry.is_folder, entry.path)):
            yield entry
            if recursive and entry.is_folder:
                yield from self._walk(entry, recursive)

    def _entry(self, path: str, mode: int, oid: ObjectID) -> Entry:
        name = oid.decode()
        if S_ISDIR(mode):
            return Entry(path, name, is_folder=True)
        size_bytes, pointer = self._facts_of(name)
        if pointer:
            return Entry(path, name, False, pointer.size_bytes, pointer, size_bytes)
        return Entry(path, name, False, size_bytes)

    def _facts_of(self, oid: str) -> tuple[int, Pointer | None]:
        if oid not in self._facts:
            blob = self.git.object_store[ObjectID(oid.encode())]
            size_bytes = blob.raw_length()
            pointer = Pointer.parse(blob.as_raw_string()) if size_bytes <= LONGEST_POINTER_BYTES else None
            self._facts[oid] = size_bytes, pointer
        return self._facts[oid]

    def _oid_at(self, commit_hash: str, path: str) -> str | None:
        found = self.entry(commit_hash, path)
        return found.oid if found else None


Folder = dict[str, "Folder | str | None"]


def split_by_folder(changes: Mapping[str, str | None]) -> Folder:
    """Changes by full path as one dictionary per folder; what goes away is taken first, as git applies a commit."""
    root: Folder = {}
    for path, oid in sorted(changes.items(), key=lambda change: change[1] is not None):
        *folders, name = path.split("/")
        folder = root
        for part in folders:
            inner = folder.get(part)
            if not isinstance(inner, dict):
                inner = folder[part] = {}
            folder = inner
        folder[name] = oid
    return root


def valid_ref(name: str) -> bool:
    """Whether git allows a ref of this full name."""
    return check_ref_format(Ref(name.encode(errors="replace")))
