"""A bucket's changes, followed live. Source: `huggingface_hub` 2.4.0 `_bucket_live_follow.py`."""

import json
from typing import Any

from aiohttp import web

from ..bucket_feeds import Batch, Change, Feed, TooOld, place_of_cursor, place_of_time
from ..bucketed import Bucket
from ..call import Call
from ..routing import Routes
from ..whoami import iso
from .buckets import visible_bucket

routes = Routes()

# Clients give a silent stream up after 90 seconds; the Hub says something every 30.
KEEP_ALIVE_S = 30.0


@routes.get("/api/buckets/{namespace}/{name}/events")
async def follow(call: Call) -> web.StreamResponse:
    """What happened since a place or a time, then what happens, until the reader or the bucket goes away."""
    bucket = visible_bucket(call)
    feed = call.hub.bucket_feeds.of(bucket)
    try:
        told = _place(call, feed, bucket)
    except TooOld:
        told = None
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await answer.prepare(call.request)
    if call.request.method == "HEAD":
        return answer
    if told is None:
        await _tell(answer, "reset", {"reason": "What happened since is not known any more"})
        return answer
    is_ready = False
    while _may_go_on(call, bucket):
        for batch in feed.after(told):
            await _tell(answer, "changes", _told(feed, batch))
            told = batch.number
        if not is_ready:
            await _tell(answer, "ready", {"cursor": feed.cursor(feed.last)} if feed.last else {})
            is_ready = True
        if told == feed.last and not await call.hub.pulses.next(bucket.oid, at_most_s=KEEP_ALIVE_S):
            await answer.write(b": ping\n\n")
    return answer


def _may_go_on(call: Call, bucket: Bucket) -> bool:
    token = call.caller.token
    return (
        call.hub.buckets.by_id(bucket.oid) is bucket
        and call.hub.rights.sees(call.caller, bucket)
        and not (token is not None and token.is_over)
    )


def _place(call: Call, feed: Feed, bucket: Bucket) -> int:
    if cursor := call.value("cursor"):
        return place_of_cursor(feed, cursor)
    if since := call.value("since"):
        return place_of_time(feed, bucket, since)
    return feed.last


def _told(feed: Feed, batch: Batch) -> dict[str, Any]:
    return {"cursor": feed.cursor(batch.number), "changes": [_change(each) for each in batch.changes]}


def _change(change: Change) -> dict[str, Any]:
    if (file := change.file) is None:
        return {"path": change.path, "op": change.op}
    return {
        "path": change.path,
        "op": change.op,
        "size": file.size_bytes,
        "xetHash": file.xet_hash,
        "uploadedAt": iso(file.uploaded_at),
        "mtime": iso(file.mtime),
    }


async def _tell(answer: web.StreamResponse, event: str, data: dict[str, Any]) -> None:
    await answer.write(f"event: {event}\ndata: {json.dumps(data)}\n\n".encode())
