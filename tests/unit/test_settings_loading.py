"""Which of several sources a setting is taken from."""

from pathlib import Path

import pytest

from hfproxy.settings_loading import load_settings


@pytest.mark.parametrize(
    ("environ", "written"),
    [
        ({"HF_TOKEN": ""}, "HF_ACCESS_TOKEN=hf_right"),
        ({"HF_ACCESS_TOKEN": "", "HF_TOKEN": "hf_right"}, "HF_TOKEN=hf_wrong"),
        ({"HFPROXY_UPSTREAM__TOKEN": "", "HF_ACCESS_TOKEN": "hf_right"}, ""),
        ({"HF_TOKEN": "", "HF_TOKEN_FILE": "token"}, ""),
    ],
)
def test_an_empty_value_hides_no_other(
    environ: dict[str, str], written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text(written)
    Path("token").write_text("hf_right\n")
    token = load_settings(environ=environ).settings.upstream.token
    assert token is not None
    assert token.get_secret_value() == "hf_right"


def test_an_empty_value_alone_is_the_default() -> None:
    loaded = load_settings(environ={"HFPROXY_SERVER__PORT": ""}, dotenv=None)
    assert loaded.settings.server.port == 8080
    assert "HFPROXY_SERVER__PORT" not in loaded.origins
