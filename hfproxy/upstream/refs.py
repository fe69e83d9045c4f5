"""Names on the Hub: parse a path into a reference once, print it again where a URL is needed.

Nobody else splits or joins Hub paths. Percent-encoding follows `huggingface_hub` (`file_download.py`, `hf_hub_url`): a
revision is one segment, encoded whole (`refs%2Fpr%2F1`); a file's path keeps its slashes in a `resolve` URL.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self
from urllib.parse import quote, unquote

_NAME = re.compile(r"(?!.*(?:--|\.\.))[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?")
_COMMIT_HASH = re.compile(r"[0-9a-fA-F]{40}")
MAX_REPO_ID_LENGTH = 96


class BadReference(ValueError):
    """What was given names nothing on any Hub; the message says what is wrong with it."""


class RepoType(StrEnum):
    """The Hub's four kinds of repository, as its JSON spells them."""

    MODEL = "model"
    DATASET = "dataset"
    SPACE = "space"
    KERNEL = "kernel"

    @property
    def api_segment(self) -> str:
        """The segment after `/api/`: always in the plural."""
        return f"{self.value}s"

    @property
    def web_prefix(self) -> str:
        """What stands before the id in a web address: nothing for models."""
        return "" if self is RepoType.MODEL else f"{self.value}s/"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The type named in the singular or the plural. Raises BadReference."""
        try:
            return cls(text.removesuffix("s"))
        except ValueError:
            raise BadReference(f"{text!r} is not one of model, dataset, space, kernel") from None


def check_name(text: str, *, what: str = "name") -> str:
    """`text`, if the Hub allows it as one part of a repository id. Raises BadReference.

    Source: `huggingface_hub` 2.4 `utils/_validators.py` `REPO_ID_REGEX`.
    """
    if not _NAME.fullmatch(text):
        raise BadReference(
            f"the {what} {text!r} must use letters, digits, '-', '_' and '.', "
            "without '--' or '..', and must not begin or end with '-' or '.'"
        )
    if text.lower().endswith(".git"):
        raise BadReference(f"the {what} {text!r} must not end with '.git'")
    if len(text) > MAX_REPO_ID_LENGTH:
        raise BadReference(f"the {what} has {len(text)} characters; the Hub allows {MAX_REPO_ID_LENGTH}")
    return text


def is_commit_hash(revision: str) -> bool:
    """Whether a revision is a commit hash, and so never means anything else tomorrow."""
    return len(revision) == 40 and _COMMIT_HASH.fullmatch(revision) is not None


@dataclass(frozen=True, slots=True)
class RepoRef:
    """One repository: `acme/demo`, or `gpt2` for the few old models without a namespace."""

    repo_type: RepoType
    namespace: str | None
    name: str

    @classmethod
    def parse(cls, repo_type: RepoType, repo_id: str) -> Self:
        """From `owner/name` or `name`. Raises BadReference."""
        *owner, name = repo_id.split("/")
        if len(owner) > 1:
            raise BadReference(f"the id {repo_id!r} has more than one '/'")
        if len(repo_id) > MAX_REPO_ID_LENGTH:
            raise BadReference(f"the id has {len(repo_id)} characters; the Hub allows {MAX_REPO_ID_LENGTH}")
        namespace = check_name(owner[0], what="owner") if owner else None
        return cls(repo_type, namespace, check_name(name))

    @classmethod
    def parse_printed(cls, text: str) -> Self:
        """From what `str()` prints: `acme/demo`, `datasets/acme/demo`. Raises BadReference."""
        first, _, rest = text.partition("/")
        if rest and first in {repo_type.api_segment for repo_type in RepoType}:
            return cls.parse(RepoType.parse(first), rest)
        return cls.parse(RepoType.MODEL, text)

    @property
    def kind(self) -> str:
        """What it is, as the Hub's JSON and patterns name it."""
        return self.repo_type.value

    @property
    def repo_id(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    def renamed(self, repo_id: str) -> Self:
        """A repository of the same type, called `repo_id`. Raises BadReference."""
        return self.parse(self.repo_type, repo_id)

    @property
    def folded(self) -> Self:
        """The same repository under the one spelling that caches and rules use: the Hub ignores an id's case."""
        namespace = self.namespace.casefold() if self.namespace else None
        return type(self)(self.repo_type, namespace, self.name.casefold())

    @property
    def api_path(self) -> str:
        return f"/api/{self.repo_type.api_segment}/{self.repo_id}"

    @property
    def web_path(self) -> str:
        return f"/{self.repo_type.web_prefix}{self.repo_id}"

    @property
    def git_path(self) -> str:
        return f"{self.web_path}.git"

    def __str__(self) -> str:
        return f"{self.repo_type.web_prefix}{self.repo_id}"


@dataclass(frozen=True, slots=True)
class BucketRef:
    """One bucket: files by path, without revisions, and always somebody's. The owner `me` is whoever asks."""

    namespace: str
    name: str

    @classmethod
    def parse(cls, bucket_id: str) -> Self:
        """From `owner/name`. Raises BadReference."""
        namespace, slash, name = bucket_id.partition("/")
        if not slash or "/" in name:
            raise BadReference(f"the bucket {bucket_id!r} must be owner/name")
        if len(bucket_id) > MAX_REPO_ID_LENGTH:
            raise BadReference(f"the bucket's id has {len(bucket_id)} characters; the Hub allows {MAX_REPO_ID_LENGTH}")
        return cls(check_name(namespace, what="owner"), check_name(name))

    @property
    def kind(self) -> str:
        """What it is, as the Hub's JSON and patterns name it."""
        return "bucket"

    @property
    def repo_id(self) -> str:
        return f"{self.namespace}/{self.name}"

    def renamed(self, repo_id: str) -> Self:
        """A bucket called `repo_id`. Raises BadReference."""
        return self.parse(repo_id)

    @property
    def is_of_who_asks(self) -> bool:
        """Whether the Hub is left to put the account's name in."""
        return self.namespace.casefold() == "me"

    @property
    def folded(self) -> Self:
        """The same bucket under the one spelling that caches and rules use."""
        return type(self)(self.namespace.casefold(), self.name.casefold())

    @property
    def api_path(self) -> str:
        return f"/api/buckets/{self.repo_id}"

    def __str__(self) -> str:
        return f"{BUCKETS}{self.repo_id}"


BUCKETS = "buckets/"
# Whatever holds files on the Hub under a name.
HubRef = RepoRef | BucketRef


def parse_printed(text: str) -> HubRef:
    """From what `str()` of either prints. Raises BadReference."""
    if text.startswith(BUCKETS):
        return BucketRef.parse(text.removeprefix(BUCKETS))
    return RepoRef.parse_printed(text)


@dataclass(frozen=True, slots=True)
class FileRef:
    """One file at one revision; `path` and `revision` are decoded, the URL is printed encoded."""

    repo: RepoRef
    revision: str
    path: str

    @classmethod
    def parse(cls, raw_path: str, *, verb: str = "resolve") -> Self:
        """From the undecoded path of a `resolve` or `raw` URL. Raises BadReference.

        Split first, decode each part once: a revision or a file may hold any character, `/` included.
        """
        segments = raw_path.removeprefix("/").split("/")
        repo_type = RepoType.MODEL
        if segments[0] in {"datasets", "spaces", "kernels"}:
            repo_type = RepoType.parse(segments.pop(0))
        # The verb follows an id of two parts, or of one for an old model: look there only, for a repository and a
        # file may be called `resolve` too.
        for id_length in (2, 1):
            if len(segments) > id_length + 1 and segments[id_length] == verb:
                break
        else:
            raise BadReference(f"{raw_path!r} is not a {verb} path")
        try:
            segments = [unquote(segment, errors="strict") for segment in segments]
        except UnicodeDecodeError:
            raise BadReference(f"{raw_path!r} is not percent-encoded UTF-8") from None
        repo = RepoRef.parse(repo_type, "/".join(segments[:id_length]))
        revision, *path = segments[id_length + 1 :]
        if not revision or any(part in {"", ".", ".."} for part in "/".join(path).split("/")):
            raise BadReference(f"{raw_path!r} names no file")
        return cls(repo, revision, "/".join(path))

    def url_path(self, verb: str = "resolve") -> str:
        """The encoded path that names this file, beginning with a slash."""
        return f"{self.repo.web_path}/{verb}/{quote(self.revision, safe='')}/{quote(self.path, safe='/')}"
