"""A repository's card: the YAML at the top of its README, and what the Hub makes of it.

Sources: contract sections 3.2 and 3.6; hub-docs `hub/model-cards.md` and `hub/datasets-cards.md`.
"""

import re
from collections.abc import Iterator
from datetime import date
from typing import Any

import yaml

from hfproxy.upstream.refs import RepoType

# As `huggingface_hub` finds it (`repocard.py` REGEX_YAML_BLOCK); a byte order mark or blank lines may come first.
_FRONT_MATTER = re.compile(r"\A\ufeff?\s*---[ \t]*\r?\n(.*?)\r?\n?---[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_PREFIXED = {"license": "license", "datasets": "dataset", "base_model": "base_model"}
_DATASET_PREFIXED = (
    *("task_categories", "task_ids", "annotations_creators", "language_creators", "multilinguality"),
    *("size_categories", "source_datasets", "language", "license"),
)
_LIBRARY_FILES = {
    "pytorch_model.bin": "pytorch",
    "model.safetensors": "safetensors",
    "tf_model.h5": "tf",
    "model.onnx": "onnx",
}


# hub-docs `hub/repositories-licenses.md`.
LICENSES = frozenset(
    """
    apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0 bigcode-openrail-m
    afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5
    cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0
    cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0
    cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0
    lgpl lgpl-2.1 lgpl-3.0 isc h-research intel-research lppl-1.3c ms-pl apple-ascl apple-amlr mpl-2.0 odc-by odbl
    openmdw-1.0 openrail++ osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl lgpl-lr deepfloyd-if-license
    fair-noncommercial-research-license llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 grok2-community gemma unknown
    other
    """.split()  # noqa: SIM905 - eighty names read better so
)


class BadCard(ValueError):
    """The front matter is no YAML mapping; the message says where."""


def front_matter(readme: str) -> dict[str, Any] | None:
    """The metadata of a card, None when it has none. Raises BadCard."""
    found = _FRONT_MATTER.match(readme)
    if not found:
        return None
    try:
        parsed = yaml.safe_load(found[1])
    except (yaml.YAMLError, ValueError) as error:
        raise BadCard(str(error)) from error
    if parsed is None:
        return {}
    if not isinstance(parsed, dict):
        raise BadCard("metadata must be a mapping of names to values")
    return {str(key): _plain(value) for key, value in parsed.items()}


def card_of(readme: bytes | None) -> dict[str, Any] | None:
    """The same of a README's bytes; a broken card has no metadata."""
    if readme is None:
        return None
    try:
        return front_matter(readme.decode(errors="replace"))
    except BadCard:
        return None


def pipeline_tag(card: dict[str, Any] | None) -> str | None:
    """The task that a model card names."""
    tag = (card or {}).get("pipeline_tag")
    return tag if isinstance(tag, str) else None


def library_name(card: dict[str, Any] | None, paths: set[str]) -> str | None:
    """The library that a model card names, or that its files give away."""
    name = (card or {}).get("library_name")
    if isinstance(name, str):
        return name
    if "modules.json" in paths and "config_sentence_transformers.json" in paths:
        return "sentence-transformers"
    if "model_index.json" in paths:
        return "diffusers"
    if "adapter_config.json" in paths:
        return "peft"
    return "transformers" if "config.json" in paths and _weights(paths) else None


def tags(repo_type: RepoType, card: dict[str, Any] | None, paths: set[str], space_sdk: str | None) -> list[str]:
    """All tags of a repository, in the Hub's order: library and formats, the card's own, prefixed ones, region."""
    card = card or {}
    found: list[str] = []
    if repo_type is RepoType.MODEL:
        found += [name for name in [library_name(card, paths), *_weights(paths)] if name]
        found += [tag for tag in [pipeline_tag(card)] if tag]
        found += _texts(card.get("tags")) + _texts(card.get("language"))
        for key, prefix in _PREFIXED.items():
            found += [f"{prefix}:{value}" for value in _texts(card.get(key))]
    elif repo_type is RepoType.DATASET:
        for key in _DATASET_PREFIXED:
            found += [f"{key}:{value}" for value in _texts(card.get(key))]
        found += _texts(card.get("tags"))
    else:
        found += [space_sdk] if space_sdk else []
        found += _texts(card.get("tags"))
        found += [f"license:{value}" for value in _texts(card.get("license"))]
    return list(dict.fromkeys([*found, "region:us"]))


def _weights(paths: set[str]) -> list[str]:
    names = {path.rpartition("/")[2] for path in paths}
    found = [library for name, library in _LIBRARY_FILES.items() if name in names]
    endings = {"safetensors": ".safetensors", "onnx": ".onnx", "gguf": ".gguf"}
    found += [library for library, ending in endings.items() if any(name.endswith(ending) for name in names)]
    return list(dict.fromkeys(found))


def _texts(value: Any) -> list[str]:
    return list(_each_text(value))


def _each_text(value: Any) -> Iterator[str]:
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, str) and item:
            yield item


def _plain(value: Any) -> Any:
    """YAML's values as JSON has them."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(inner) for inner in value]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and value != value:
        return None
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
