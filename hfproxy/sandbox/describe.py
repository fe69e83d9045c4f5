"""What the Hub says about a repository: the JSON of `GET /api/{types}/{id}` and of listings.

Sources: contract sections 3.1 and 3.2.
"""

import json
from collections import Counter
from functools import cached_property
from typing import Any

from hfproxy.upstream.refs import RepoType

from . import cards, safetensors
from .history import Entry
from .hub import Hub
from .refusals import BadRequest
from .repository import Repository
from .running import Running
from .whoami import iso

# What `expand` allows; the last two are the Hub's own and undocumented (`huggingface_hub` tests/test_hf_api.py,
# TestExpandPropertyType).
_COMMON = (
    *("author", "cardData", "createdAt", "disabled", "lastModified", "likes", "private", "resourceGroup", "sha"),
    *("siblings", "tags", "trendingScore", "usedStorage", "gitalyUid", "xetEnabled"),
)
_COUNTED = ("downloads", "downloadsAllTime", "gated")
EXPANDABLE: dict[RepoType, tuple[str, ...]] = {
    RepoType.MODEL: (
        *(*_COMMON, *_COUNTED, "baseModels", "childrenModelCount", "config", "evalResults", "gguf", "inference"),
        *("inferenceProviderMapping", "library_name", "mask_token", "model-index", "pipeline_tag", "safetensors"),
        *("spaces", "transformersInfo", "widgetData"),
    ),
    RepoType.DATASET: (*_COMMON, *_COUNTED, "citation", "description", "mainSize", "paperswithcode_id"),
    RepoType.SPACE: (*_COMMON, "datasets", "models", "region", "runtime", "sdk", "subdomain"),
    RepoType.KERNEL: (*_COMMON, *_COUNTED),
}
_PLAIN_LIST: dict[RepoType, tuple[str, ...]] = {
    RepoType.MODEL: (
        *("likes", "trendingScore", "private", "downloads", "tags", "pipeline_tag", "library_name"),
        *("createdAt", "modelId"),
    ),
    RepoType.DATASET: (
        *("author", "disabled", "gated", "lastModified", "likes", "trendingScore", "private", "sha"),
        *("downloads", "tags", "createdAt", "description", "key"),
    ),
    RepoType.SPACE: ("likes", "trendingScore", "private", "sdk", "tags", "createdAt"),
    RepoType.KERNEL: ("author", "downloads", "likes", "trendingScore", "private", "gated", "lastModified", "sha"),
}
_FULL_LIST = ("author", "sha", "lastModified", "gated", "disabled", "siblings")
_ONE: dict[RepoType, tuple[str, ...]] = {
    RepoType.MODEL: (
        *("private", "pipeline_tag", "library_name", "tags", "downloads", "likes", "modelId", "author", "sha"),
        *("lastModified", "gated", "disabled", "mask_token", "widgetData", "model-index", "config", "cardData"),
        *("transformersInfo", "siblings", "spaces", "createdAt", "safetensors", "usedStorage"),
    ),
    RepoType.DATASET: (
        *("author", "sha", "lastModified", "private", "gated", "disabled", "tags", "description", "downloads"),
        *("likes", "cardData", "siblings", "createdAt", "usedStorage"),
    ),
    RepoType.SPACE: (
        *("author", "sha", "lastModified", "private", "visibility", "gated", "disabled", "host", "subdomain", "tags"),
        *("likes", "sdk", "cardData", "siblings", "createdAt", "runtime", "models", "datasets", "usedStorage"),
    ),
    RepoType.KERNEL: (
        *("author", "sha", "lastModified", "private", "gated", "disabled", "tags", "downloads", "likes", "createdAt"),
    ),
}
# What is left out of an answer, rather than null, when there is nothing to say.
_OPTIONAL = frozenset(
    {
        *("pipeline_tag", "library_name", "mask_token", "widgetData", "config", "cardData", "transformersInfo"),
        *("safetensors", "gguf", "description", "citation", "paperswithcode_id", "sdk", "resourceGroup", "mainSize"),
        *("securityStatus", "baseModels", "evalResults", "inference", "region", "gitalyUid"),
    }
)


class Description:
    """One repository at one commit, field by field; what is read from git is read once."""

    def __init__(self, hub: Hub, repo: Repository, commit_hash: str | None = None, *, with_blobs: bool = False) -> None:
        self._hub = hub
        self._repo = repo
        self._record = repo.record
        self._commit_hash = commit_hash or repo.head
        self._with_blobs = with_blobs

    def one(self) -> dict[str, Any]:
        """The whole answer about one repository."""
        return self.fields(_ONE[self._repo.repo_type])

    def in_list(self, *, full: bool, card: bool, config: bool) -> dict[str, Any]:
        """One element of a listing."""
        names = list(_PLAIN_LIST[self._repo.repo_type])
        names += [name for name in _FULL_LIST if full and name not in names]
        if card or (full and self._repo.repo_type is not RepoType.MODEL):
            names.append("cardData")
        if config:
            names.append("config")
        return self.fields(tuple(names))

    def fields(self, names: tuple[str, ...]) -> dict[str, Any]:
        """`_id`, `id` and the named fields, in their order."""
        told: dict[str, Any] = {"_id": self._record.oid, "id": self._repo.repo_id}
        for name in names:
            value = self.value(name)
            if value is not None or name not in _OPTIONAL:
                told[name] = value
        return told

    def value(self, name: str) -> Any:
        """One field as the answer has it, None where there is nothing to say."""
        record, repo = self._record, self._repo
        simple: dict[str, Any] = {
            "modelId": repo.repo_id,
            "author": record.namespace,
            "private": repo.is_private,
            "visibility": record.visibility,
            "gated": record.gated,
            "disabled": record.disabled,
            "sha": self._commit_hash,
            "likes": repo.like_count,
            "downloads": record.downloads,
            "downloadsAllTime": max(record.downloads_all_time, record.downloads),
            "trendingScore": record.trending_score,
            "createdAt": iso(record.created_at),
            "lastModified": iso(record.updated_at),
            "usedStorage": sum(lfs.size_bytes for lfs in record.lfs.values()),
            "key": "",
            "xetEnabled": self._hub.config.xet,
            "spaces": [],
            "childrenModelCount": 0,
            "inferenceProviderMapping": [],
            "resourceGroup": {"id": record.resource_group} if record.resource_group else None,
            "region": record.region,
            "sdk": record.space.get("sdk"),
            "subdomain": repo.repo_id.replace("/", "-").lower(),
            "host": f"https://{repo.repo_id.replace('/', '-').lower()}.hf.space",
        }
        if name in simple:
            return simple[name]
        read = getattr(self, f"_read_{name.replace('-', '_')}", None)
        return read() if read else None

    def _read_siblings(self) -> list[dict[str, Any]]:
        return [self._sibling(entry) for entry in self._files]

    def _sibling(self, entry: Entry) -> dict[str, Any]:
        told: dict[str, Any] = {"rfilename": entry.path}
        if self._with_blobs:
            told |= {"blobId": entry.oid, "size": entry.size_bytes}
            if entry.pointer:
                told["lfs"] = {
                    "sha256": entry.pointer.oid,
                    "size": entry.size_bytes,
                    "pointerSize": entry.pointer_size_bytes,
                }
        return told

    def _read_tags(self) -> list[str]:
        paths = {entry.path for entry in self._files}
        return cards.tags(self._repo.repo_type, self.card, paths, self._record.space.get("sdk"))

    def _read_pipeline_tag(self) -> str | None:
        return cards.pipeline_tag(self.card)

    def _read_library_name(self) -> str | None:
        return cards.library_name(self.card, {entry.path for entry in self._files})

    def _read_cardData(self) -> dict[str, Any] | None:  # noqa: N802 - the Hub's spelling
        return self.card

    def _read_description(self) -> str | None:
        return (self.card or {}).get("description")

    def _read_model_index(self) -> Any:
        return (self.card or {}).get("model-index")

    def _read_config(self) -> dict[str, Any] | None:
        parsed = self._json("config.json")
        if parsed is None:
            return None
        told: dict[str, Any] = {key: parsed[key] for key in ("architectures", "model_type") if key in parsed}
        tokenizer = self._json("tokenizer_config.json")
        return {**told, "tokenizer_config": {}} if tokenizer is not None else told

    def _read_runtime(self) -> dict[str, Any]:
        return Running(self._repo, self._hub.now()).told()

    def _read_models(self) -> list[str]:
        return _texts((self.card or {}).get("models"))

    def _read_datasets(self) -> list[str]:
        return _texts((self.card or {}).get("datasets"))

    def _read_safetensors(self) -> dict[str, Any] | None:
        """How many parameters the weights at the root have."""
        paths = [entry.path for entry in self._files if entry.path.endswith(".safetensors")]
        headers = [header for path in paths if "/" not in path and (header := self.safetensors_header(path))]
        counted: Counter[str] = Counter()
        for header in headers:
            counted.update(safetensors.parameters(header))
        return {"parameters": dict(counted), "total": counted.total()} if headers else None

    def safetensors_header(self, path: str) -> dict[str, Any] | None:
        """The header of a safetensors file, None where there is none."""
        entry = self._repo.history.entry(self._commit_hash, path) if self._commit_hash else None
        if entry is None or entry.is_folder:
            return None
        if entry.pointer is None:
            return safetensors.header_of_bytes(self._repo.history.read(entry.oid))
        if not self._hub.objects.has(entry.pointer.oid):
            return None
        with self._hub.objects.open(entry.pointer.oid) as file:
            return safetensors.header_of_file(file)

    def _read_securityStatus(self) -> dict[str, Any]:  # noqa: N802 - the Hub's spelling
        return {"scansDone": True, "filesWithIssues": []}

    @property
    def card(self) -> dict[str, Any] | None:
        """The front matter of README.md."""
        return self._content_facts[1]

    @property
    def _files(self) -> list[Entry]:
        return self._content_facts[0]

    @cached_property
    def _content_facts(self) -> tuple[list[Entry], dict[str, Any] | None]:
        """All files and the card, which listings need of every repository: kept for the newest commit asked for."""
        if self._repo.described is None or self._repo.described[0] != self._commit_hash:
            files = self._repo.history.files(self._commit_hash) if self._commit_hash else []
            self._repo.described = (self._commit_hash, files, cards.card_of(self._content("README.md")))
        return self._repo.described[1], self._repo.described[2]

    def _json(self, path: str) -> dict[str, Any] | None:
        content = self._content(path)
        try:
            parsed = json.loads(content) if content is not None else None
        except ValueError:
            return None
        return parsed if isinstance(parsed, dict) else None

    def _content(self, path: str) -> bytes | None:
        entry = self._repo.history.entry(self._commit_hash, path) if self._commit_hash else None
        if entry is None or entry.is_folder or entry.pointer:
            return None
        return self._repo.history.read(entry.oid)


def _texts(value: Any) -> list[str]:
    return [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]


def check_expand(repo_type: RepoType, names: list[str]) -> tuple[str, ...]:
    """The fields to expand, without doubles. Raises BadRequest naming the allowed ones."""
    allowed = EXPANDABLE[repo_type]
    for name in names:
        if name not in allowed:
            raise BadRequest(f'"expand" must be one of [{", ".join(allowed)}]')
    return tuple(dict.fromkeys(names))
