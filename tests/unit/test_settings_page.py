"""docs/settings.md says what the settings say."""

from pathlib import Path

from hfproxy.settings_loading import knobs
from hfproxy.settings_page import settings_page

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_page_is_what_the_settings_make_of_it() -> None:
    assert PAGE.read_text(encoding="utf-8") == settings_page(), "run `hfproxy config docs > docs/settings.md`"


def test_every_setting_is_on_the_page_with_what_it_does() -> None:
    rows = {line.split(" | ")[0].rpartition("`")[0].rpartition("`")[2]: line for line in settings_page().splitlines()}
    for knob in knobs():
        assert knob.field.description
        assert knob.field.description.replace("|", "\\|") in rows[knob.variable]
