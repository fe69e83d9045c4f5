"""The newest `hf` command, as a person types it, directly at the sandbox."""

from pathlib import Path

from hfproxy.sandbox.server import Sandbox
from tests.support.clients import Client, environment


async def test_a_person_works_with_the_hf_command(newest_client: Client, sandbox: Sandbox, tmp_path: Path) -> None:
    env = environment(sandbox.url, tmp_path, "hf_sandbox_alice")
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n# Demo\n")

    async def hf(*arguments: str, code: int = 0) -> str:
        finished = await newest_client.run(newest_client.hf, *arguments, env=env)
        assert finished.code == code, f"hf {' '.join(arguments)}: {finished}"
        return finished.out + finished.err

    assert "alice" in await hf("auth", "whoami")
    assert "alice/demo" in await hf("repos", "create", "demo", "--private")
    await hf("repos", "create", "demo", code=1)
    await hf("upload", "alice/demo", str(tmp_path / "README.md"), "README.md")
    await hf("repos", "settings", "alice/demo", "--public")
    assert "alice/demo" in await hf("models", "ls", "--search", "demo")
    await hf("repos", "branch", "create", "alice/demo", "dev")
    await hf("repos", "tag", "create", "alice/demo", "v1")
    assert "v1" in await hf("repos", "tag", "list", "alice/demo")
    await hf("repos", "move", "alice/demo", "acme/demo")
    await hf("repos", "delete", "acme/demo", "--yes")
    await hf("repos", "delete", "acme/demo", "--yes", "--missing-ok")
    posted = [str(asked) for asked in sandbox.asked if asked.method != "GET"]
    assert posted.count("POST /api/repos/create") >= 2
    assert "POST /api/repos/move" in posted
