"""What a person sees of the policy: the reason, in the words of the rule, in the real client."""

from pathlib import Path

from hfproxy.sandbox.server import Sandbox
from tests.support.clients import Client, environment
from tests.support.gateway import gateway_for
from tests.support.git import Git

RULES = """
[[rule]]
name = "no-pickle"
effect = "deny"
reason = "Pickles run code. Ask for safetensors."
actions = ["read", "write"]
files = ["*.pkl"]

[[rule]]
name = "no-evil"
effect = "deny"
reason = "Evil is not used here."
repos = ["bob/*"]

[[limit]]
name = "few"
callers = ["hub-token"]
requests = "1/h"
"""

SCRIPT = """
import io, logging, sys
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError

api = HfApi()
api.create_repo("alice/seen")
api.upload_file(repo_id="alice/seen", path_or_fileobj=b"{}", path_in_repo="config.json")
for attempt in (
    lambda: api.upload_file(repo_id="alice/seen", path_or_fileobj=b"x", path_in_repo="deep/new.pkl"),
    lambda: hf_hub_download("alice/seen", "model.pkl"),
    lambda: hf_hub_download("bob/seen", "config.json"),
    lambda: snapshot_download("bob/seen"),
    lambda: api.model_info("bob/seen"),
    lambda: HfApi(token="hf_sandbox_bob").model_info("alice/seen"),
    lambda: HfApi(token="hf_sandbox_bob").create_repo("bob/new"),
):
    try:
        attempt()
        print("passed")
    except HfHubHTTPError as error:
        print(type(error).__name__, " ".join(str(error).split()))
print(sorted(path.name for path in __import__("pathlib").Path(snapshot_download("alice/seen")).iterdir()))
"""


async def test_the_client_tells_the_reason_and_takes_what_is_left(
    newest_client: Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES)
    (tmp_path / "script.py").write_text(SCRIPT)
    settings = {"POLICY__FILE": str(rules), "ACCESS__ANONYMOUS": "admin", "UPSTREAM__TOKEN": "hf_sandbox_alice"}
    async with gateway_for(sandbox.url, tmp_path / "kept", **settings) as gateway:
        finished = await newest_client.run(
            newest_client.python, tmp_path / "script.py", env=environment(gateway.url, tmp_path)
        )
        assert finished.code == 0, str(finished)
        uploaded, downloaded, evil, snapshot, info, first, limited, listed = finished.out.splitlines()
        pickle = "Pickles run code. Ask for safetensors. (policy rule: no-pickle)"
        assert uploaded.startswith("HfHubHTTPError")
        assert pickle in uploaded
        assert downloaded.startswith("GatedRepoError")
        assert pickle in downloaded
        for told in (evil, snapshot, info):
            assert told.startswith("GatedRepoError"), told
            assert "Evil is not used here. (policy rule: no-evil)" in told
        assert first == "passed"
        assert "you have reached your 'gateway' rate limit" in limited
        assert listed == "['.gitattributes', 'config.json']"

        cloned = await Git(tmp_path)("clone", f"{gateway.url}/alice/seen", "clone")
        assert cloned.code != 0
        assert "Pickles run code" in cloned.err
