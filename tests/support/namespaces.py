"""A network of its own for a client: all that it can reach is one address of this machine, where a gateway listens."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

_numbers = count()


@dataclass(frozen=True)
class Walled:
    """`prefix` runs a command inside; `address` is the outside's only one."""

    prefix: tuple[str, ...]
    address: str


def missing() -> str | None:
    """Why this machine cannot make networks; None if it can."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return "making a network namespace needs root and iproute2"
    name = f"hfptry{os.getpid()}"
    tried = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if tried.returncode:
        return f"no network namespaces here: {tried.stderr.strip()}"
    _ip("netns", "delete", name)
    return None


@contextmanager
def walled_in() -> Iterator[Walled]:
    """A namespace with a wire to this machine, and no route to anywhere else."""
    # Addresses that no network uses (RFC 5737 and its like), a pair for each process and call.
    number = (os.getpid() * 16 + next(_numbers)) % 16_000
    third, fourth = divmod(number * 4, 256)
    name, outside, inside = f"hfp{os.getpid()}n{number % 100}", f"hfo{number}", f"hfi{number}"
    ours, theirs = f"198.18.{third}.{fourth + 1}", f"198.18.{third}.{fourth + 2}"
    _ip("netns", "add", name)
    try:
        _ip("link", "add", outside, "type", "veth", "peer", "name", inside, "netns", name)
        _ip("address", "add", f"{ours}/30", "dev", outside)
        _ip("link", "set", outside, "up")
        _ip("-n", name, "address", "add", f"{theirs}/30", "dev", inside)
        _ip("-n", name, "link", "set", inside, "up")
        _ip("-n", name, "link", "set", "lo", "up")
        yield Walled(("ip", "netns", "exec", name), ours)
    finally:
        _ip("netns", "delete", name)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
