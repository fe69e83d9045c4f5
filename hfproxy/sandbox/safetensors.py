"""The header of a safetensors file: names, types and shapes of its tensors.

Source: the format's README (huggingface/safetensors); counts as `huggingface_hub` makes them
(`utils/_safetensors.py`, SafetensorsFileMetadata).
"""

import json
from math import prod
from typing import Any, BinaryIO

LONGEST_HEADER_BYTES = 100 * 1024 * 1024


def header_of_file(file: BinaryIO) -> dict[str, Any] | None:
    """The header of an open file, without reading its tensors."""
    length = int.from_bytes(file.read(8), "little")
    return _parsed(file.read(length), length) if length <= LONGEST_HEADER_BYTES else None


def header_of_bytes(content: bytes) -> dict[str, Any] | None:
    """The header of content in memory."""
    length = int.from_bytes(content[:8], "little")
    return _parsed(content[8 : 8 + length], length)


def parameters(header: dict[str, Any]) -> dict[str, int]:
    """How many parameters there are of each type."""
    counted: dict[str, int] = {}
    for name, tensor in header.items():
        if name != "__metadata__":
            counted[tensor["dtype"]] = counted.get(tensor["dtype"], 0) + prod(tensor["shape"])
    return counted


def _parsed(content: bytes, length: int) -> dict[str, Any] | None:
    if len(content) != length:
        return None
    try:
        header = json.loads(content)
        parameters(header)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return header if isinstance(header, dict) else None
