"""Cards are checked before anything is uploaded."""

import pytest

from .conftest import Call


@pytest.mark.parametrize(
    ("content", "status", "error", "warning"),
    [
        ("---\nlicense: mit\n---\n", 200, None, None),
        ("# No metadata", 200, None, "empty or missing yaml metadata in repo card"),
        ("---\nlicense: asdf\n---\n", 400, '"license" must be one of [', None),
        ("---\nmodel-index: foo\n---\n", 400, '"model-index" must be an array', None),
        ("---\n- a\n---\n", 400, "metadata must be a mapping", None),
    ],
)
async def test_a_card_is_told_its_mistakes(
    call: Call, content: str, status: int, error: str | None, warning: str | None
) -> None:
    asked = {"content": content, "repoType": "model"}
    told = await call("POST", "/api/validate-yaml", json=asked)
    text = await call("POST", "/api/validate-yaml", json=asked, headers={"Accept": "text/plain"})
    form = await call("POST", "/api/validate-yaml", data=asked)
    assert (told.status, text.status, form.status) == (status, status, status)
    assert form.json == told.json
    for kind, key, expected in (("Error", "errors", error), ("Warning", "warnings", warning)):
        assert [expected in each["message"] for each in told.json[key] if expected] == ([True] if expected else [])
        assert (f"- {kind}: " in text.body.decode()) is bool(expected)
