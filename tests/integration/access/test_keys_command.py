"""`hfproxy keys` and the start of a gateway that could be reached by strangers, in their own processes."""

import json
from pathlib import Path

from tests.support.command import hfproxy


def test_a_key_is_made_shown_once_listed_and_revoked(tmp_path: Path) -> None:
    made = hfproxy("keys", "create", "ci", "--role", "writer", "--repo", "acme/*", "--expires", "90d", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    secret = made.stdout.strip()
    assert secret.startswith("hfp_")
    assert secret not in made.stderr

    listed = hfproxy("keys", "list", cwd=tmp_path)
    assert listed.returncode == 0
    for word in ("ci", "writer", "acme/*", "active"):
        assert word in listed.stdout
    assert secret not in listed.stdout

    [key] = json.loads(hfproxy("keys", "list", "--json", cwd=tmp_path).stdout)
    assert (key["name"], key["role"], key["repos"], key["state"]) == ("ci", "writer", ["acme/*"], "active")

    assert hfproxy("keys", "revoke", "ci", cwd=tmp_path).returncode == 0
    [key] = json.loads(hfproxy("keys", "list", "--json", cwd=tmp_path).stdout)
    assert key["state"] == "revoked"


def test_a_key_that_cannot_be_made_or_found_is_told_in_a_line(tmp_path: Path) -> None:
    for arguments, words in (
        (("create", "ci", "--repo", "acme"), "write acme/*"),
        (("create", "ci", "--role", "admin", "--repo", "acme/*"), "an admin sees everything"),
        (("revoke", "nobody"), "no key"),
    ):
        done = hfproxy("keys", *arguments, cwd=tmp_path)
        assert done.returncode == 1
        assert words in done.stderr
        assert "Traceback" not in done.stderr
    assert hfproxy("keys", "create", "ci", "--expires", "soon", cwd=tmp_path).returncode == 2


def test_it_does_not_listen_to_strangers_by_accident(tmp_path: Path) -> None:
    done = hfproxy("serve", "--upstream", "sandbox", "--host", "0.0.0.0", "--port", "0", cwd=tmp_path)
    assert done.returncode == 78
    for word in ("0.0.0.0", "hfproxy keys create", "HFPROXY_ACCESS__ANONYMOUS"):
        assert word in done.stderr
    assert "Traceback" not in done.stderr
