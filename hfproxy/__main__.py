"""`python -m hfproxy` is the `hfproxy` command."""

from hfproxy.cli import main

main()
