"""The file of rules is followed while the gateway runs, and a bad one never takes the place of a good one."""

import os
import signal
from pathlib import Path

import pytest

from hfproxy.features.policy.loading import CannotUsePolicy
from tests.integration.policy.conftest import FILES, Ruling
from tests.support.gateway import gateway_for
from tests.support.serving import serving
from tests.support.waiting import eventually

RULES = """
[[rule]]
name = "no-pickle"
effect = "deny"
files = ["*.pkl"]
"""
PATH = "/alice/demo/resolve/main/model.pkl"


async def test_rules_that_change_hold_for_what_is_kept_too(ruled: Ruling) -> None:
    hub = await ruled("")
    for _ in range(4):  # from the Hub, from what is kept, and the quick way
        assert (await hub.ask("GET", PATH)).body == FILES["model.pkl"]
    hub.file.write_text(RULES)
    await hub.until(lambda state: len(state["rules"]) == 2)
    assert (await hub.ask("GET", PATH)).rule == "no-pickle"
    metrics = (await hub.ask("GET", "/-/metrics")).body.decode()
    assert 'hfproxy_policy_denials_total{rule="no-pickle"} 1.0' in metrics
    assert "hfproxy_policy_rules 1.0" in metrics


async def test_a_bad_file_changes_nothing_and_says_so(ruled: Ruling, capsys: pytest.CaptureFixture[str]) -> None:
    hub = await ruled(RULES)
    hub.file.write_text(RULES + "\n[[rule]]\nname = 'typo'\neffect = 'denny'\n")
    state = await hub.until(lambda state: bool(state["problems"]))
    assert state["problems"][0].endswith("line 9, rule 2 \"typo\": effect: must be 'allow', 'deny' or 'read-only'")
    assert (await hub.ask("GET", PATH)).rule == "no-pickle"
    assert "hfproxy_policy_file_refused 1.0" in (await hub.ask("GET", "/-/metrics")).body.decode()
    hub.file.unlink()
    await hub.until(lambda state: "cannot be read" in state["problems"][0])
    assert (await hub.ask("GET", PATH)).rule == "no-pickle"
    hub.file.write_text(RULES.replace("no-pickle", "no-more"))
    await hub.until(lambda state: state["rules"][0]["name"] == "no-more")
    assert "hfproxy_policy_file_refused 0.0" in (await hub.ask("GET", "/-/metrics")).body.decode()


async def test_a_gateway_does_not_start_with_rules_that_it_cannot_read(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text("[[rule]]\nname = 'x'\n")
    with pytest.raises(CannotUsePolicy, match=r'line 1, rule 1 "x": effect: is missing'):
        async with gateway_for("http://127.0.0.1:9", tmp_path / "kept", POLICY__FILE=str(file)):
            pass


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_hangup_signal_reads_the_file_and_ends_nothing(tmp_path: Path, workers: str) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(RULES)
    variables = {"HFPROXY_POLICY__FILE": str(file), "HF_ENDPOINT": "http://127.0.0.1:9"}
    variables["HFPROXY_SERVER__WORKERS"] = workers
    async with serving(tmp_path / "served", **variables) as running:
        os.kill(running.pid, signal.SIGHUP)
        await eventually(
            lambda: [event["event"] for event in running.events()].count("policy.loaded") == 2 * int(workers)
        )
        assert await running.end() == 0


async def test_an_administrator_is_told_why_and_nobody_else(ruled: Ruling) -> None:
    hub = await ruled(
        RULES + '\n[[rule]]\nname = "free"\neffect = "allow"\nlicences = ["mit"]\n', ACCESS__ANONYMOUS="admin"
    )
    told = (await hub.ask("GET", "/-/policy/explain?caller=ci&repo=alice/demo&file=model.pkl")).json()
    assert (told["allowed"], told["rule"], told["sure"]) == (False, "no-pickle", True)
    assert told["steps"] == [{"rule": "no-pickle", "effect": "deny", "means_it": True, "why": "the file is model.pkl"}]
    told = (await hub.ask("GET", "/-/policy/explain?repo=alice/demo&file=config.json")).json()
    assert (told["allowed"], told["rule"]) == (True, "default")
    assert (await hub.ask("GET", "/-/policy/explain?repo=a/b/c")).status == 422
    mine = {"Authorization": "Bearer hf_sandbox_alice"}
    assert (await hub.ask("GET", "/-/policy", headers=mine)).status == 403
    assert (await hub.ask("GET", "/-/policy/explain?repo=alice/demo", headers=mine)).status == 403


async def test_a_licence_is_asked_once_and_holds_while_the_hub_is_away(ruled: Ruling) -> None:
    hub = await ruled('default = "deny"\n[[rule]]\nname = "free"\neffect = "allow"\nlicences = ["mit"]\n')
    path = "/alice/demo/resolve/main/config.json"
    assert (await hub.ask("GET", path)).status == 200
    before = (await hub.ask("GET", "/-/metrics")).body.decode()
    for _ in range(5):
        assert (await hub.ask("GET", path)).status == 200
    after = (await hub.ask("GET", "/-/metrics")).body.decode()
    called = [line for line in before.splitlines() if line.startswith("hfproxy_upstream_calls_total")]
    assert called == [line for line in after.splitlines() if line.startswith("hfproxy_upstream_calls_total")]
