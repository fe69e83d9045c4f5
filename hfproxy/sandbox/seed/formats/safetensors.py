"""Safetensors: a JSON table of tensors, then their bytes, end to end.

Format: the "Format" section of the safetensors README (8 bytes little-endian header length, header padded with
spaces to a multiple of 8, offsets counted from the end of the header).
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Literal, Self

from .numbers import float16, float32, weights

_BYTES_EACH = {"F16": 2, "F32": 4, "I64": 8}


@dataclass(frozen=True, slots=True)
class Tensor:
    """One array: its type as safetensors names it, its shape, its bytes in C order."""

    dtype: Literal["F16", "F32", "I64"]
    shape: tuple[int, ...]
    content: bytes

    def __post_init__(self) -> None:
        assert len(self.content) == prod(self.shape) * _BYTES_EACH[self.dtype]

    @classmethod
    def made(cls, name: str, *shape: int, dtype: Literal["F16", "F32"] = "F32") -> Self:
        """A tensor of plausible weights, decided by its name."""
        pack = float16 if dtype == "F16" else float32
        return cls(dtype, shape, pack(weights(name, *shape)))


def safetensors(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """The tensors as the bytes of one `.safetensors` file, in the order given."""
    table: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    offset = 0
    for name, tensor in tensors.items():
        end = offset + len(tensor.content)
        table[name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    header = json.dumps(table, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + b"".join(tensor.content for tensor in tensors.values())
