"""What a bundle says of itself: its first member, checked before anything else of it is believed."""

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from hfproxy.storage.blobs import BlobKey
from hfproxy.upstream.headers import told_to_the_caller
from hfproxy.upstream.refs import BadReference, RepoRef, is_commit_hash

FORMAT: Final = "hfproxy-bundle"
MANIFEST = "manifest.json"
BLOBS, ANSWERS = "blobs/", "answers/"
Access = Literal["public", "restricted"]

# RFC 9110 sections 5.1 and 5.5.
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")


def _commit_hash(text: str) -> str:
    if not is_commit_hash(text):
        raise ValueError("must be a commit hash")
    return text.lower()


def _repo(text: str) -> str:
    try:
        return str(RepoRef.parse_printed(text))
    except BadReference as error:
        raise ValueError(str(error)) from None


def _path(text: str) -> str:
    """A file's path that cannot lead anybody out of their own folder."""
    parts = text.replace("\\", "/").split("/")
    if "\0" in text or any(part in {".", ".."} for part in parts) or "" in text.split("/"):
        raise ValueError("must be a path inside a repository")
    return text


def _blob(text: str) -> str:
    if BlobKey.parse(text) is None:
        raise ValueError("must be the name of a blob")
    return text


def _text(text: str) -> str:
    if "\0" in text:  # PostgreSQL keeps none
        raise ValueError("must be a text without NUL")
    return text


def _header_value(text: str) -> str:
    if not _HEADER_VALUE.fullmatch(text):
        raise ValueError("must be the value of a header")
    return text


def _header(header: tuple[str, str]) -> tuple[str, str]:
    """One that the Hub's answer could have had and that is passed on: not the message's frame, no cookies."""
    name = header[0]
    if not _HEADER_NAME.fullmatch(name) or name.casefold() == "content-length" or not told_to_the_caller([header]):
        raise ValueError("must be a header that belongs to an answer's content")
    return header


CommitHash = Annotated[str, AfterValidator(_commit_hash)]
RepoName = Annotated[str, AfterValidator(_repo)]
FilePath = Annotated[str, AfterValidator(_path)]
BlobName = Annotated[str, AfterValidator(_blob)]
Size = Annotated[int, Field(ge=0)]
Text = Annotated[str, AfterValidator(_text)]
HeaderValue = Annotated[str, AfterValidator(_header_value)]
Header = Annotated[tuple[str, HeaderValue], AfterValidator(_header)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class BundledFile(_Part):
    """What a path is in the commit."""

    path: FilePath
    blob: BlobName
    size_bytes: Size
    is_lfs: bool
    content_type: HeaderValue
    content_disposition: HeaderValue | None


class BundledAnswer(_Part):
    """What the Hub said to a question; its body is the member of that sha256."""

    target: Text
    headers: list[Header]
    said_at_s: float
    body_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class BundledRepo(_Part):
    """One commit of a repository.

    access: `public` if the Hub showed it to everybody when it was asked; else nobody's but the importing gateway's own
    callers, and theirs only offline. revisions: the names that pointed to the commit, and when the Hub last said so.
    """

    repo: RepoName
    commit_hash: CommitHash
    access: Access
    said_at_s: float
    revisions: dict[Text, float]
    files: list[BundledFile]
    absent: list[FilePath]
    answers: list[BundledAnswer]


class Manifest(_Part):
    """The whole bundle."""

    format: Literal["hfproxy-bundle"]
    version: Literal[1]
    made_by: str
    repositories: list[BundledRepo]

    def blobs(self) -> dict[str, int]:
        """The blobs that must come, and their sizes. Raises ValueError where two sizes are told of one."""
        sizes: dict[str, int] = {}
        for repo in self.repositories:
            for file in repo.files:
                if sizes.setdefault(file.blob, file.size_bytes) != file.size_bytes:
                    raise ValueError(f"{file.blob} has two sizes")
        return sizes

    def answers(self) -> frozenset[str]:
        """The answers' bodies that must come."""
        return frozenset(answer.body_sha256 for repo in self.repositories for answer in repo.answers)
