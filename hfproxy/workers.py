"""`--workers N`: one gateway as several processes on one port, looked after by this one.

The parent opens a socket for each worker (`SO_REUSEPORT`: the system spreads connections over them) and keeps it open,
so that connections which come while a dead worker is being replaced wait for the new one. It serves nothing itself but
the built-in Hub. What a worker is told travels through a pipe to its standard input, which stays open: its end is the
parent's, and the worker's too.
"""

import asyncio
import os
import pickle
import shutil
import signal
import socket
import struct
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from hfproxy.server import hub_ready, listening_sockets, stop_signal
from hfproxy.settings import ServerSettings, Settings
from hfproxy.starting import CannotStart

log = structlog.get_logger(__name__)

COMMAND = "worker"
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_LENGTH = struct.Struct("!I")
_SHORTEST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0
# A worker that lived so long before it died is replaced at once.
_HEALTHY_S = 30.0
_PATIENCE_AT_END_S = 15.0


@dataclass(frozen=True, slots=True)
class Assignment:
    """What one worker is told."""

    number: int
    settings: Settings
    sockets: tuple[int, ...]
    """Descriptors that it listens on."""
    tell: int
    """Where it writes its URL once it listens."""


class WorkerFailed(CannotStart):
    """A worker could not start; it has said why itself."""

    def __init__(self, exit_code: int) -> None:
        super().__init__("")
        self.exit_code = exit_code


class _Worker:
    """One place among the workers: its sockets, and the process that has them now."""

    def __init__(self, number: int, settings: Settings, sockets: list[socket.socket], metrics: Path) -> None:
        self.number, self.sockets = number, sockets
        self._settings, self._metrics = settings, metrics
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> str:
        """Its URL, once it listens. Raises WorkerFailed."""
        heard, tell = os.pipe()
        os.set_blocking(heard, False)
        fds = tuple(each.fileno() for each in self.sockets)
        program = [sys.executable] if getattr(sys, "frozen", False) else [sys.executable, "-m", "hfproxy"]
        try:
            self.process = process = await asyncio.create_subprocess_exec(
                *program,
                COMMAND,
                stdin=asyncio.subprocess.PIPE,
                pass_fds=(*fds, tell),
                env={**os.environ, METRICS_FOLDER: str(self._metrics)},
                # Ctrl-C in a terminal is the parent's to hear.
                start_new_session=True,
            )
        finally:
            os.close(tell)
        told = pickle.dumps(Assignment(self.number, self._settings, fds, tell))
        assert process.stdin is not None
        with suppress(ConnectionError):  # its exit code tells
            process.stdin.write(_LENGTH.pack(len(told)) + told)
            await process.stdin.drain()
        url = await _line(heard)
        if not url:
            raise WorkerFailed(await process.wait() or 1)
        return url

    async def ended(self) -> int:
        """Its exit code, once it has one; what it was measuring right then counts no more."""
        from prometheus_client.multiprocess import mark_process_dead

        assert self.process is not None
        code = await self.process.wait()
        mark_process_dead(self.process.pid, str(self._metrics))  # type: ignore[no-untyped-call]
        return code

    def signal(self, signum: signal.Signals) -> None:
        if self.process is not None and self.process.returncode is None:
            with suppress(ProcessLookupError):
                self.process.send_signal(signum)


async def _line(fd: int) -> str:
    """What is written to a pipe until its line ends, or its writer."""
    reader = asyncio.StreamReader()
    with os.fdopen(fd, "rb", buffering=0) as pipe:
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), pipe
        )
        try:
            return (await reader.readline()).decode().strip()
        finally:
            transport.close()


async def serve_with_workers(settings: Settings, *, announce: Callable[[str, Settings], None]) -> None:
    """Serves until SIGTERM or SIGINT with `settings.server.workers` processes; as `serve_until_stopped`."""
    async with hub_ready(settings) as ready, _metrics_folder() as metrics, AsyncExitStack() as stack:
        each = _share_of(ready)
        server = ready.server.model_copy(update={"port": _free_port(ready.server)})
        sockets = [listening_sockets(server, shared=True) for _ in range(server.workers)]
        for sock in (one for group in sockets for one in group):
            stack.callback(sock.close)
        workers = [_Worker(number, each, group, metrics) for number, group in enumerate(sockets, 1)]
        if settings.policy.file is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, _pass_on, workers, signal.SIGHUP)
        stop = asyncio.create_task(stop_signal(on_second=lambda: _kill(workers)), name="wait for the end")
        stack.push_async_callback(_end, workers, settings.server.shutdown_timeout.total_seconds())
        url, *_ = await _start_all(workers, stop)
        if stop.done():
            return
        log.info("server.started", url=url, upstream=ready.upstream.endpoint, workers=len(workers))
        announce(url, ready)
        keeping = [asyncio.create_task(_keep(worker), name=f"worker {worker.number}") for worker in workers]
        try:
            await asyncio.wait([stop, *keeping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in keeping:
                task.cancel()
            await asyncio.gather(*keeping, return_exceptions=True)
        log.info("server.stopping")
    log.info("server.stopped")


async def _start_all(workers: list[_Worker], stop: asyncio.Task[None]) -> list[str]:
    starting = asyncio.gather(*(worker.start() for worker in workers))
    both: list[asyncio.Future[Any]] = [stop, starting]
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        return [""]
    return starting.result()


async def _keep(worker: _Worker) -> None:
    """Replaces a worker whenever it dies, ever later while it dies young."""
    loop, wait_s = asyncio.get_running_loop(), _SHORTEST_WAIT_S
    begun = loop.time()
    while True:
        code = await worker.ended()
        wait_s = _SHORTEST_WAIT_S if loop.time() - begun >= _HEALTHY_S else min(wait_s * 2, _LONGEST_WAIT_S)
        log.error("worker.ended", worker=worker.number, exit_code=code, next_in_s=wait_s)
        await asyncio.sleep(wait_s)
        begun = loop.time()
        with suppress(WorkerFailed, OSError):  # no memory for another process, say: not for ever
            await worker.start()
            assert worker.process is not None
            log.info("worker.started", worker=worker.number, pid=worker.process.pid)


async def _end(workers: list[_Worker], patience_s: float) -> None:
    """Lets all of them finish what they do; whoever takes too long is killed."""
    for worker in workers:
        for sock in worker.sockets:
            sock.close()
        worker.signal(signal.SIGTERM)
    running = [asyncio.create_task(worker.process.wait()) for worker in workers if worker.process is not None]
    if running:
        _, late = await asyncio.wait(running, timeout=patience_s + _PATIENCE_AT_END_S)
        if late:
            _kill(workers)
            await asyncio.wait(late)


def _pass_on(workers: list[_Worker], signum: signal.Signals) -> None:
    for worker in workers:
        worker.signal(signum)


def _kill(workers: list[_Worker]) -> None:
    for worker in workers:
        worker.signal(signal.SIGKILL)


def _free_port(server: ServerSettings) -> int:
    """The port, which nobody listens on: another gateway that shares its port would share it with us too."""
    opened = listening_sockets(server)
    port: int = opened[0].getsockname()[1]
    for sock in opened:
        sock.close()
    return port


def _share_of(settings: Settings) -> Settings:
    """The settings of one worker: what bounds the whole gateway is divided among them."""
    workers = settings.server.workers
    server, upstream, files, storage = settings.server, settings.upstream, settings.files, settings.storage

    def share(value: int) -> int:
        return max(1, -(-value // workers))

    return settings.model_copy(
        update={
            "server": server.model_copy(
                update={
                    "max_requests_in_flight": share(server.max_requests_in_flight),
                    "max_connections": share(server.max_connections),
                }
            ),
            "upstream": upstream.model_copy(update={"max_connections": share(upstream.max_connections)}),
            "files": files.model_copy(
                update={
                    "max_connections": share(files.max_connections),
                    "memory": type(files.memory)(share(int(files.memory))),
                }
            ),
            "storage": storage.model_copy(update={"s3_memory": type(storage.s3_memory)(share(int(storage.s3_memory)))}),
        }
    )


@asynccontextmanager
async def _metrics_folder() -> AsyncIterator[Path]:
    """Where the workers count together, gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="hfproxy-metrics-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def read_assignment(stdin: int) -> Assignment:
    """What the parent of this process tells it; blocks. Only for what was written by `_Worker.start`."""
    (length,) = _LENGTH.unpack(_exactly(stdin, _LENGTH.size))
    assignment = pickle.loads(_exactly(stdin, length))  # noqa: S301 - from our own parent, through its pipe
    assert isinstance(assignment, Assignment)
    return assignment


def _exactly(fd: int, count: int) -> bytes:
    content = b""
    while len(content) < count:
        part = os.read(fd, count - len(content))
        if not part:
            raise CannotStart("this command is for `hfproxy serve --workers`")
        content += part
    return content
