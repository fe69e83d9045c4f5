"""Swagger UI is the published one, byte by byte."""

import hashlib
from importlib.resources import files

DIGESTS = {
    "swagger-ui-bundle.js": "e6a898692f2d768e807c3ba4626068a69a2c5dd960dd6c76f3e4d3a3de180af2",
    "swagger-ui.css": "5ed08757e53da3e026d6cbecc61fe5d43585c9560b302d534ad56692519a273d",
}


def test_the_shipped_files_are_the_published_ones() -> None:
    folder = files("hfproxy.features.ui") / "static" / "swagger"
    assert {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in DIGESTS} == DIGESTS
