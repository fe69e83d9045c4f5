"""The headers of a model's safetensors files, all at once.

Source: `huggingface_hub` `hf_api.py`, `get_sharded_safetensors_metadata`; contract section 4.3.
"""

import json

from aiohttp import web

from ..answers import json_answer
from ..call import Call
from ..describe import Description
from ..refusals import BadRequest
from ..routing import Routes

routes = Routes()


@routes.get("/api/models/{repo}/safetensors-metadata/{path:rest}")
async def safetensors_metadata(call: Call) -> web.StreamResponse:
    """The index of a sharded model, without its map of weights, and the header of each shard."""
    repo = call.readable_repo()
    commit_hash = repo.commit_hash()
    path = call.params["path"]
    entry = repo.file(commit_hash, path)
    described = Description(call.hub, repo, commit_hash)
    try:
        index = json.loads(repo.history.read(entry.oid))
        folder = path.rpartition("/")[0]
        shards = sorted(set(index["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadRequest(f"{path} is not a safetensors index") from None
    headers = {}
    for shard in shards:
        header = described.safetensors_header(f"{folder}/{shard}" if folder else shard)
        if header is None:
            raise BadRequest(f"{shard} is not a safetensors file")
        headers[shard] = header
    return json_answer({"index": {"metadata": index.get("metadata")}, "headers": headers})
