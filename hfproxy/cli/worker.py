"""`hfproxy worker`: one process of `hfproxy serve --workers`, which starts it; nobody else does."""

import sys

from hfproxy.cli.terminal import fail
from hfproxy.starting import CannotStart


def worker() -> None:
    """Be a worker; `hfproxy serve --workers` starts it."""
    import structlog
    import uvloop

    from hfproxy.allocator import share_memory_between_threads
    from hfproxy.logs import set_up_logging
    from hfproxy.open_files import allow_many_open_files
    from hfproxy.server import outlive_hangups, serve_as_worker
    from hfproxy.workers import read_assignment

    share_memory_between_threads()
    allow_many_open_files()
    outlive_hangups()
    try:
        assigned = read_assignment(sys.stdin.fileno())
        logging, number = assigned.settings.logging, assigned.number
        if logging.file is not None:
            # A file that is rotated can have one writer.
            logging = logging.model_copy(update={"file": logging.file.with_suffix(f".{number}{logging.file.suffix}")})
        set_up_logging(logging, secrets=assigned.settings.secrets())
        structlog.contextvars.bind_contextvars(worker=number)
        uvloop.run(
            serve_as_worker(assigned.settings, sockets=assigned.sockets, tell=assigned.tell, parent=sys.stdin.fileno())
        )
    except CannotStart as error:
        fail(str(error), code=error.exit_code)
