"""Webhooks and Spaces, run inside a client's own environment."""

import time

from huggingface_hub import CommitOperationAdd, HfApi

api = HfApi(token="hf_sandbox_alice")
SPACE = "alice/served"


def webhooks():
    made = api.create_webhook(
        url="http://127.0.0.1:1/hook", watched=[{"type": "user", "name": "alice"}], domains=["repo"], secret="hush"
    )
    assert (made.url, made.domains, made.secret, made.disabled) == ("http://127.0.0.1:1/hook", ["repo"], "hush", False)
    assert api.get_webhook(made.id) == made
    assert [each.id for each in api.list_webhooks()] == [made.id]
    assert api.disable_webhook(made.id).disabled
    assert not api.enable_webhook(made.id).disabled
    changed = api.update_webhook(made.id, url="http://127.0.0.1:1/other", watched=made.watched, domains=["repo"])
    assert changed.url == "http://127.0.0.1:1/other"
    api.delete_webhook(made.id)
    assert api.list_webhooks() == []


def space_settings():
    api.create_repo(SPACE, repo_type="space", space_sdk="static")
    api.add_space_secret(SPACE, "TOKEN", "hidden", description="What it is for")
    variables = api.add_space_variable(SPACE, "COLOUR", "blue")
    assert variables["COLOUR"].value == "blue"
    api.add_space_variable(SPACE, "SIZE", "7")
    assert set(api.get_space_variables(SPACE)) == {"COLOUR", "SIZE"}
    assert set(api.delete_space_variable(SPACE, "SIZE")) == {"COLOUR"}
    if hasattr(api, "get_space_secrets"):
        assert api.get_space_secrets(SPACE)["TOKEN"].description == "What it is for"
    api.delete_space_secret(SPACE, "TOKEN")


def space_runtime():
    assert api.get_space_runtime(SPACE).stage == "NO_APP_FILE"
    page = CommitOperationAdd("index.html", b"<p>hello</p>")
    api.create_commit(SPACE, repo_type="space", operations=[page], commit_message="A page")
    deadline = time.monotonic() + 30
    while api.get_space_runtime(SPACE).stage != "RUNNING" and time.monotonic() < deadline:
        time.sleep(0.2)
    running = api.get_space_runtime(SPACE)
    assert (running.stage, running.hardware) == ("RUNNING", "cpu-basic")
    asked = api.request_space_hardware(SPACE, "t4-small", sleep_time=600)
    assert (asked.requested_hardware, asked.sleep_time) == ("t4-small", 600)
    assert api.pause_space(SPACE).stage == "PAUSED"
    assert api.restart_space(SPACE).stage == "BUILDING"


SCENARIOS = [webhooks, space_settings, space_runtime]

if __name__ == "__main__":
    for scenario in SCENARIOS:
        scenario()
        print("passed", scenario.__name__)
