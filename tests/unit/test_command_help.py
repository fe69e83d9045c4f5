"""Every command shows how it is used, and what it shows is a command line that it takes."""

import re
import shlex
from collections.abc import Iterator

import pytest
import typer.main
from typer.core import TyperCommand, TyperGroup

from hfproxy.cli import app


def _below(group: TyperGroup, *path: str) -> Iterator[tuple[str, TyperCommand]]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from _below(command, *path, name)
        elif isinstance(command, TyperCommand) and not command.hidden:
            yield " ".join((*path, name)), command


_root = typer.main.get_command(app)
assert isinstance(_root, TyperGroup)
COMMANDS = dict(_below(_root))


@pytest.mark.parametrize("name", COMMANDS)
def test_its_examples_are_command_lines_that_it_takes(name: str) -> None:
    command = COMMANDS[name]
    lines = (command.epilog or "").partition("```\n")[2].removesuffix("\n```").splitlines()
    assert lines, "no example"
    for line in lines:
        assert len(line) <= 76, "wider than a terminal"
        ours = re.search(rf"hfproxy {name}\b([^|>&)]*)", line)
        assert ours is not None
        command.make_context(name, shlex.split(ours[1]))
