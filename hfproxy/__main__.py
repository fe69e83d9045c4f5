"""The `hfproxy` command's first step; `python -m hfproxy` is the same command."""

import signal


def main() -> None:
    """Runs the command. Ctrl-C while it is being imported ends it as it ends `cat`: there is nothing to tell."""
    python_raises = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if python_raises:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from hfproxy import cli

    if python_raises:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    cli.main()


if __name__ == "__main__":
    main()
