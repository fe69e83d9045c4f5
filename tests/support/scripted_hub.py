"""A server that says exactly what a test tells it to, right or wrong, byte by byte, and remembers what it was asked."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Reply = Callable[["Asked", asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    method: str
    raw_path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class ScriptedHub:
    """Answers each request with `reply`; a connection is closed after its answer unless the reply keeps it."""

    url: str
    reply: Reply
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0


def says(status: int, body: bytes = b"{}", *, length: int | None = None, **headers: str) -> Reply:
    """An ordinary answer; `length` lies about the body's."""

    async def reply(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        lines = {
            "Content-Type": "application/json",
            "Content-Length": str(len(body) if length is None else length),
            **given,
        }
        head = f"HTTP/1.1 {status} Said\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        writer.write(head.encode() + b"\r\n" + body)
        await writer.drain()

    return reply


def writes(raw: bytes) -> Reply:
    """Whatever bytes, HTTP or not, then the end."""

    async def reply(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()

    return reply


async def resets(_asked: Asked, writer: asyncio.StreamWriter) -> None:
    """A reset in place of an answer."""
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def closes(_asked: Asked, writer: asyncio.StreamWriter) -> None:
    """The connection closed in place of an answer."""
    writer.close()


async def hangs(_asked: Asked, writer: asyncio.StreamWriter) -> None:
    """No answer for as long as anybody waits."""
    await writer.wait_closed()


@asynccontextmanager
async def scripted_hub(reply: Reply, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[ScriptedHub]:
    """A running server, over TLS if it is given a context; it ends with everything it began."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        hub.connections += 1
        try:
            while (asked := await read_request(reader)) is not None:
                hub.asked.append(asked)
                await hub.reply(asked, writer)
                if asked.headers.get("connection") == "close" or writer.is_closing():
                    break
                if hub.reply.__qualname__.startswith("writes"):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # asyncio would write an error about a cancelled one
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1024 * 1024, ssl=tls)
    hub = ScriptedHub(f"{'http' if tls is None else 'https'}://127.0.0.1:{server.sockets[0].getsockname()[1]}", reply)
    try:
        yield hub
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def read_request(reader: asyncio.StreamReader) -> Asked | None:
    """The next request on a connection, None at its end."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    request_line, *lines = head.rstrip("\r\n").split("\r\n")
    method, raw_path, _version = request_line.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Asked(method, raw_path, headers, body)
