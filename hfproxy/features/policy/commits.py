"""What an upload says that it brings: judged before a byte of it goes to the Hub."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, NamedTuple

from hfproxy.errors import BodyTooLarge
from hfproxy.features.policy.matching import ANY, Unnamed
from hfproxy.features.policy.roads import canonical
from hfproxy.unstoppable import opened
from hfproxy.upstream.bodies import body_lines
from hfproxy.upstream.documents import read_object

MOST_BYTES = 8 * 1024**3
_LONGEST_LINE = 256 * 1024**2
_STEP_BYTES = 256 * 1024


class Brought(NamedTuple):
    """One file of an upload; ANY where it does not say which, or says it in a way that is not known."""

    file: str | Unnamed
    size_bytes: int | None


def announced(body: bytes) -> list[Brought]:
    """What a `preupload` names (contract 6.3)."""
    files = read_object(body).get("files")
    if not isinstance(files, list):
        return [Brought(ANY, None)]
    return [_brought(each, each.get("size")) if isinstance(each, dict) else Brought(ANY, None) for each in files]


def announced_sizes(body: bytes) -> list[int]:
    """The sizes in an LFS batch (contract 6.4); it names no paths."""
    objects = read_object(body).get("objects")
    entries = objects if isinstance(objects, list) else []
    return [each["size"] for each in entries if isinstance(each, dict) and isinstance(each.get("size"), int)]


def operated_on(body: bytes) -> list[Brought]:
    """The files that a bucket's batch changes (contract 6); it tells no sizes."""
    return [_brought(read_object(line), None) for line in body_lines(body)]


class SetAside:
    """A body set aside in a file without a name, to be read again; it is gone when it is closed."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    async def brought(self) -> list[Brought]:
        """What the lines of a commit bring (contract 6.5)."""
        return await asyncio.to_thread(lambda: list(self._read()))

    def _read(self) -> Iterator[Brought]:
        self._file.seek(0)
        while line := self._file.readline(_LONGEST_LINE):
            if len(line) == _LONGEST_LINE:
                yield Brought(ANY, None)
            elif line.strip():
                yield from _in_line(line)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        await asyncio.to_thread(self._file.seek, 0)
        while chunk := await asyncio.to_thread(self._file.read, _STEP_BYTES):
            yield chunk


@asynccontextmanager
async def set_aside(body: AsyncIterable[bytes], folder: Path) -> AsyncIterator[SetAside]:
    """A body, whole, on this machine's disk. Raises BodyTooLarge."""
    opening = asyncio.get_running_loop().run_in_executor(None, _nameless_file, folder)
    with await opened(opening, close=lambda file: file.close()) as file:
        size = 0
        async for chunk in body:
            size += len(chunk)
            if size > MOST_BYTES:
                raise BodyTooLarge(f"a commit of more than {MOST_BYTES // 1024**3} GiB is not looked through")
            await asyncio.to_thread(file.write, chunk)
        yield SetAside(file)


def _nameless_file(folder: Path) -> IO[bytes]:
    return TemporaryFile(dir=folder)


def _in_line(line: bytes) -> Iterator[Brought]:
    document = read_object(line)
    key, value = document.get("key"), document.get("value")
    if key == "header":
        return
    if not isinstance(value, dict):
        yield Brought(ANY, None)
    elif key == "file":
        yield _brought(value, _content_size(value))
    elif key == "lfsFile":
        yield _brought(value, value.get("size"))
    elif key == "deletedFile":
        yield _brought(value, 0)
    else:
        yield Brought(ANY, None)  # a folder, or what the Hub has learnt since


def _content_size(value: dict[str, Any]) -> int | None:
    content = value.get("content")
    if not isinstance(content, str):
        return None
    if value.get("encoding") == "base64":
        return len(content) * 3 // 4 - content[-2:].count("=")
    return len(content.encode("utf-8", "surrogatepass"))


def _brought(value: dict[str, Any], size: object) -> Brought:
    path = value.get("path")
    return Brought(canonical(path) if isinstance(path, str) else ANY, size if isinstance(size, int) else None)
