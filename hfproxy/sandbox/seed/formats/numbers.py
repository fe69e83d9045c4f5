"""Numbers that look like trained weights and are the same on every machine."""

import hashlib
import struct
from array import array
from math import prod, sqrt


def weights(name: str, *shape: int) -> list[float]:
    """As many numbers as the shape holds, spread evenly around 0 with the variance of a fresh linear layer.

    The name decides them. They are multiples of 2⁻¹⁵, so that float32 holds each exactly.
    """
    count = prod(shape)
    whole = array("h", hashlib.shake_256(name.encode()).digest(2 * count))
    if struct.pack("=h", 1) != struct.pack("<h", 1):
        whole.byteswap()
    # Rounded to a power of two, so that scaling is exact too.
    scale = 2.0 ** -(15 + max(0, round(sqrt(shape[-1]) / 4)))
    return [number * scale for number in whole]


def float32(numbers: list[float]) -> bytes:
    """The numbers as little-endian IEEE 754 singles."""
    return struct.pack(f"<{len(numbers)}f", *numbers)


def float16(numbers: list[float]) -> bytes:
    """The numbers as little-endian IEEE 754 halves, rounded to nearest."""
    return struct.pack(f"<{len(numbers)}e", *numbers)
