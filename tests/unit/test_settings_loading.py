"""Which of several sources a setting is taken from."""

from pathlib import Path

import pytest

from hfproxy.settings_loading import BadSettings, load_settings


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


@pytest.mark.parametrize("token", ["hf_one\nhf_two", "Bearer hf_one", "hf_\u00e9"])
def test_a_token_that_no_header_could_carry_is_refused_and_not_repeated(token: str, tmp_path: Path) -> None:
    kept = tmp_path / "token"
    kept.write_text(token, encoding="utf-8")
    for environ in ({"HF_TOKEN": token}, {"HF_ACCESS_TOKEN_FILE": str(kept)}):
        with pytest.raises(BadSettings) as refused:
            load_settings(environ=environ, dotenv=None)
        [problem] = refused.value.problems
        assert problem.startswith("HFPROXY_UPSTREAM__TOKEN: must be one token")
        assert "hf_one" not in problem


@pytest.mark.parametrize(("written", "read"), [(" hf_one ", "hf_one"), ("  ", None)])
def test_white_space_around_a_token_is_no_part_of_it(written: str, read: str | None) -> None:
    token = load_settings(environ={"HF_TOKEN": written}, dotenv=None).settings.upstream.token
    assert (token.get_secret_value() if token else None) == read


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HFPROXY_UPSTREAM__ENDPOINT", "https://hub.example:99999"),
        ("HFPROXY_UPSTREAM__ENDPOINT", "http://hub example"),
        ("HFPROXY_STORAGE__DATABASE", "mysql://user:word@host/name"),
        ("HFPROXY_STORAGE__DATABASE", "postgresql://user:word@host:banana/name"),
        ("HFPROXY_STORAGE__DATABASE", "postgresql://user:wo@rd@host/name"),
        ("HFPROXY_STORAGE__S3_ENDPOINT", "http://s3.example:0"),
        ("HFPROXY_SERVER__CORS_ORIGINS", "http://app.example:banana"),
        ("HFPROXY_UPSTREAM__CONNECT_TIMEOUT", "0s"),
        ("HFPROXY_FILES__STALE_FOR", "99999999999999d"),
    ],
)
def test_a_value_that_nothing_could_work_with_is_one_line(name: str, value: str) -> None:
    with pytest.raises(BadSettings) as refused:
        load_settings(environ={name: value}, dotenv=None)
    [problem] = refused.value.problems
    assert problem.startswith(f"{name}: ")
    assert value not in problem


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:wo/rd [#?:]@db.example:5432/name?ssl=require",
        "postgres://user@[::1]:5432/name",
        "postgresql://db.example/name",
        "postgresql:///name?host=/run/postgresql",
    ],
)
def test_a_databases_url_is_taken_as_it_is_written(url: str) -> None:
    database = load_settings(environ={"HFPROXY_STORAGE__DATABASE": url}, dotenv=None).settings.storage.database
    assert database is not None
    assert database.get_secret_value() == url


def test_a_dotenv_in_another_coding_is_one_line(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("HF_ACCESS_TOKEN=hf_right\n", encoding="utf-16")
    with pytest.raises(BadSettings) as refused:
        load_settings(environ={}, dotenv=dotenv)
    assert refused.value.problems == [f"{dotenv} is not UTF-8: save it in that coding"]
