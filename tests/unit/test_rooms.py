"""The rooms are as docs/design.md describes them, and know of each other only what it says."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOUSE = ROOT / "hfproxy"
DESIGN = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")


def imported(module: Path) -> Iterator[str]:
    """The modules of ours that one imports, by their full names."""
    package = module.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name.startswith("hfproxy"))
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else ()
            name = ".".join((*above, *([node.module] if node.module else [])))
            if name.startswith("hfproxy"):
                yield from (f"{name}.{each.name}" for each in node.names)


def known_to(room: str, *others: str) -> set[str]:
    """What the modules of one room import from others, as `room.module`."""
    found = {name.removeprefix("hfproxy.") for module in (HOUSE / room).rglob("*.py") for name in imported(module)}
    return {".".join(name.split(".")[:2]) for name in found if name.split(".")[0] in others}


def test_what_the_design_names_is_there() -> None:
    files = [path.relative_to(ROOT).as_posix() for path in (*HOUSE.rglob("*.py"), *(ROOT / "tests").rglob("*.py"))]
    named = set(re.findall(r"`([\w/]+\.py)`", DESIGN))
    assert not [name for name in named if not any(f"/{file}".endswith(f"/{name}") for file in files)]
    folders = set(re.findall(r"`(\w[\w/]*)/`", DESIGN))
    assert not [name for name in folders if not any(f"/{name}/" in f"/{file}" for file in files)]


def test_the_design_has_a_word_for_every_room_and_for_every_module_outside_of_one() -> None:
    modules = [path.name for path in HOUSE.glob("*.py") if not path.name.startswith("__")]
    packages = [path.parent.relative_to(HOUSE).as_posix() for path in HOUSE.rglob("*/__init__.py")]
    named = {name.rstrip("/") for name in re.findall(r"`([\w./]+)`", DESIGN)}
    assert not [name for name in modules + packages if not any(f"/{name}".endswith(f"/{each}") for each in named)]


def test_three_rooms_do_not_know_each_other_nor_what_is_built_on_them() -> None:
    above = ("features", "cli", "sandbox", "app", "server", "workers")
    # Answers carry the Hub's headers, whose names stand in one place.
    assert known_to("downstream", "upstream", "storage", *above) == {"upstream.headers"}
    assert known_to("upstream", "downstream", "storage", *above) == set()
    assert known_to("storage", "downstream", "upstream", *above) == set()


def test_features_know_nothing_of_who_starts_them() -> None:
    # Warming is a gateway without a socket (decision 0042).
    assert known_to("features", "app", "cli", "server", "workers", "sandbox") == {"app.create_app"}


def test_the_sandbox_is_a_server_of_its_own() -> None:
    modules = {path.stem for path in HOUSE.glob("*.py")} - {"__init__"}
    assert known_to("sandbox", "downstream", "features", "storage", "cli", *modules) == set()
    assert not [name for name in known_to("sandbox", "upstream") if not _is_pure(f"{name.replace('.', '/')}.py")]


def _is_pure(module: str) -> bool:
    """Whether a module of `upstream/` speaks to nobody, and knows nothing of the gateway."""
    text = (HOUSE / module).read_text(encoding="utf-8")
    return "aiohttp" not in text and all(name.startswith("hfproxy.upstream.") for name in imported(HOUSE / module))


@pytest.mark.parametrize("name", ["service.py", "store.py"])
def test_services_and_stores_see_no_request(name: str) -> None:
    for module in (HOUSE / "features").glob(f"*/{name}"):
        assert "aiohttp" not in {
            alias.name.split(".")[0]
            for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in ([ast.alias(node.module or "")] if isinstance(node, ast.ImportFrom) else node.names)
        }
