"""SAMPLE_ENV says what the settings say."""

from pathlib import Path

from hfproxy.sample_env import sample_env
from hfproxy.settings import Settings
from hfproxy.settings_loading import load_settings

SAMPLE_ENV = Path(__file__).parents[2] / "SAMPLE_ENV"


def test_sample_env_is_what_the_settings_make_of_it() -> None:
    assert SAMPLE_ENV.read_text(encoding="utf-8") == sample_env(), "run `hfproxy config sample > SAMPLE_ENV`"


def test_sample_env_with_every_line_switched_on_is_the_defaults(tmp_path: Path) -> None:
    lines = SAMPLE_ENV.read_text(encoding="utf-8").splitlines()
    dotenv = tmp_path / ".env"
    dotenv.write_text("\n".join(line.removeprefix("# ") if line.startswith("# HF") else line for line in lines))
    assert load_settings(environ={}, dotenv=dotenv).settings == Settings()
