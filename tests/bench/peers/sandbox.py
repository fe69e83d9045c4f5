"""The sandbox Hub as a process that tells its URL the way the other peers do."""

import asyncio
import json
import sys

import uvloop

from hfproxy.sandbox.server import running_sandbox


async def _main() -> None:
    async with running_sandbox() as sandbox:
        print(json.dumps({"event": "ready", "url": sandbox.url}), file=sys.stderr, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_main())
