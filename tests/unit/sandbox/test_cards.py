"""Cards: front matter, and the tags that follow from it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfproxy.sandbox.cards import BadCard, front_matter, library_name, tags
from hfproxy.upstream.refs import RepoType


@pytest.mark.parametrize(
    ("readme", "card"),
    [
        ("---\nlicense: mit\n---\n# Hi", {"license": "mit"}),
        ("\n---\r\nlicense: mit\r\n---\r\n", {"license": "mit"}),
        ("---\n---\n", {}),
        ("# Hi\n\n---\nlicense: mit\n---\n", None),
        ("---\ndate: 2026-01-02\n---\n", {"date": "2026-01-02"}),
        ("", None),
    ],
)
def test_the_front_matter_is_found(readme: str, card: dict[str, str] | None) -> None:
    assert front_matter(readme) == card


@pytest.mark.parametrize("readme", ["---\n- a\n---\n", "---\na: [\n---\n", "---\na: b: c\n---\n"])
def test_a_broken_card_is_told(readme: str) -> None:
    with pytest.raises(BadCard):
        front_matter(readme)


@given(st.text())
def test_any_text_is_a_card_or_a_bad_one(text: str) -> None:
    for readme in (text, f"---\n{text}\n---\n"):
        try:
            front_matter(readme)
        except BadCard:
            continue


def test_a_models_tags_come_from_its_files_and_its_card() -> None:
    card = {
        "license": "mit",
        "pipeline_tag": "text-classification",
        "language": ["en", "de"],
        "tags": ["demo"],
        "datasets": ["squad"],
    }
    paths = {"config.json", "model.safetensors"}
    assert tags(RepoType.MODEL, card, paths, None) == [
        *("transformers", "safetensors", "text-classification", "demo", "en", "de"),
        *("license:mit", "dataset:squad", "region:us"),
    ]
    assert library_name(None, {"modules.json", "config_sentence_transformers.json"}) == "sentence-transformers"
    assert library_name({"library_name": "peft"}, paths) == "peft"


def test_a_datasets_tags_are_prefixed() -> None:
    card = {"license": "mit", "task_categories": ["question-answering"], "size_categories": "1K<n<10K"}
    assert tags(RepoType.DATASET, card, set(), None) == [
        "task_categories:question-answering",
        "size_categories:1K<n<10K",
        "license:mit",
        "region:us",
    ]
