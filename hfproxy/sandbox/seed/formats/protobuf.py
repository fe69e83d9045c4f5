"""The protobuf wire format, as far as writing a message needs it: varints, fixed32 and length-delimited fields.

Source: protobuf.dev, "Encoding".
"""

import struct
from collections.abc import Iterable

_VARINT, _BYTES, _FIXED32 = 0, 2, 5


def varint(number: int) -> bytes:
    """The number in groups of seven bits, lowest first; negative ones as 64-bit two's complement."""
    number &= (1 << 64) - 1
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def integer(field: int, number: int) -> bytes:
    return varint(field << 3 | _VARINT) + varint(number)


def single(field: int, number: float) -> bytes:
    return varint(field << 3 | _FIXED32) + struct.pack("<f", number)


def packed(field: int, numbers: Iterable[int]) -> bytes:
    """A repeated integer field, in the packed form that proto3 writes."""
    return message(field, b"".join(varint(number) for number in numbers))


def text(field: int, value: str) -> bytes:
    return message(field, value.encode())


def message(field: int, *parts: bytes) -> bytes:
    """A length-delimited field: a message made of its fields, or plain bytes."""
    content = b"".join(parts)
    return varint(field << 3 | _BYTES) + varint(len(content)) + content
