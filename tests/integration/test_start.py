"""What a start imports: no more than it needs, and all that it needs, so that no request finds something missing."""

import ast
import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp

from hfproxy.sandbox.config import SandboxConfig
from hfproxy.sandbox.server import running_sandbox
from tests.support.serving import serving

PACKAGE = Path(__file__).parents[2] / "hfproxy"
_IMPORTED = re.compile(r"^import time: .*\| +(\S+)$", re.MULTILINE)


def _imports_within_functions() -> Iterator[tuple[str, str | None]]:
    """(module, name in it) of every import that is not carried out when its module is imported, tests of types too."""
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        package = ".".join(path.relative_to(PACKAGE.parent).parent.parts)
        later = {id(node) for node in ast.walk(tree)} - {id(node) for node in tree.body}
        for node in ast.walk(tree):
            if id(node) not in later:
                continue
            if isinstance(node, ast.Import):
                yield from ((alias.name, None) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                module = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
                yield from ((module, alias.name) for alias in node.names)


def test_what_is_imported_late_is_there() -> None:
    late = set(_imports_within_functions())
    assert ("uvloop", None) in late
    for module, name in late:
        found = importlib.import_module(module)
        assert name is None or hasattr(found, name) or importlib.import_module(f"{module}.{name}")


async def test_a_gateway_that_listens_imports_nothing_more_for_its_requests(tmp_path: Path) -> None:
    asked: list[tuple[str, str, int]] = [
        ("GET", "/", 200),
        ("GET", "/docs/", 200),
        ("GET", "/-/ready", 200),
        ("GET", "/-/metrics", 200),
        ("GET", "/-/openapi.json", 200),
        ("GET", "/-/audit", 200),
        ("GET", "/api/account", 200),
        ("POST", "/api/repo", 200),
        ("POST", "/api/repo", 409),
        ("PUT", "/api/repo", 422),
        ("GET", "/api/models?limit=1", 200),
        ("GET", "/api/models/alice/started", 200),
        ("GET", "/api/models/alice/started/tree/main", 200),
        ("GET", "/alice/started/resolve/main/.gitattributes", 200),
        ("GET", "/alice/started/resolve/main/missing", 404),
        ("GET", "/alice/started.git/info/refs?service=git-upload-pack", 200),
        ("GET", "/api/whoami-v2", 200),
        ("DELETE", "/api/repo?type=model&name=started", 200),
    ]
    async with (
        running_sandbox(SandboxConfig()) as hub,
        serving(tmp_path, HF_ENDPOINT=hub.url, HF_TOKEN="hf_sandbox_alice", PYTHONPROFILEIMPORTTIME="1") as gateway,
        aiohttp.ClientSession() as http,
    ):
        before = _IMPORTED.findall(gateway.printed())
        assert "aiohttp.web" in before
        for method, path, status in asked:
            body = {"type": "model", "name": "started"} if method == "POST" else None
            async with http.request(method, gateway.url + path, json=body) as response:
                assert (response.status, await response.read())[0] == status, (method, path)
        after = _IMPORTED.findall(gateway.printed())[len(before) :]
        told = {event["route"] for event in gateway.events() if event["event"] == "request.finished"}
    assert "/api/account" in told
    assert not told & {"/-/live", "/-/ready", "/-/metrics"}, "that all is well would fill the log"
    assert [name for name in after if name.partition(".")[0] not in sys.stdlib_module_names] == []
    assert not {"cryptography.x509", "dulwich", "obstore", "asyncpg"} & set(before)


async def test_it_may_open_all_the_files_that_the_system_grants(tmp_path: Path) -> None:
    async with serving(tmp_path, open_files=(256, 512), HF_ENDPOINT="http://127.0.0.1:9") as server:
        limits = Path(f"/proc/{server.pid}/limits").read_text()
    assert re.search(r"^Max open files +512 +512 ", limits, re.MULTILINE), limits
