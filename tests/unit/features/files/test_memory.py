"""The memory for small files' bytes keeps within its bound, however small they are."""

import gc
import tracemalloc

from hfproxy.features.files.memory import BodyMemory
from hfproxy.storage.blobs import BlobKey

_LIMIT_BYTES = 256 * 1024


def _key(number: int) -> BlobKey:
    key = BlobKey.from_etag(f"{number:040x}")
    assert key is not None
    return key


def test_what_was_used_last_stays() -> None:
    memory = BodyMemory(_LIMIT_BYTES)
    body = b"x" * (_LIMIT_BYTES // 16)
    for number in range(20):
        memory.put(_key(number), body)
        assert memory.get(_key(0)) == body
    assert memory.get(_key(19)) == body
    assert memory.get(_key(1)) is None


def test_tiny_files_take_no_more_memory_than_it_may_have() -> None:
    memory = BodyMemory(_LIMIT_BYTES)
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(4 * _LIMIT_BYTES // 100):
            memory.put(_key(number), number.to_bytes(16, "big"))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before <= 1.25 * _LIMIT_BYTES
