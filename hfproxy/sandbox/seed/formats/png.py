"""PNG images with a palette, and a canvas to draw them on.

Format: W3C "Portable Network Graphics", chunks IHDR, PLTE, IDAT, IEND. Pixels are stored, not squeezed: what zlib
makes of them differs between its versions, and a commit hash must not.
"""

import struct
import zlib
from math import sqrt
from typing import Final

Colour = tuple[int, int, int]
Point = tuple[float, float]

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"


class Canvas:
    """A square picture of at most 256 colours; shapes are painted over each other in the order of the calls."""

    def __init__(self, side: int, background: Colour) -> None:
        self._side = side
        self._palette = [background]
        self._rows = [bytearray(side) for _ in range(side)]

    def ellipse(self, centre: Point, radii: Point, colour: Colour) -> None:
        """Fills an ellipse; coordinates are shares of the side, (0, 0) at the top left."""
        (x, y), (width, height) = centre, radii
        for row in range(self._side):
            above = ((row + 0.5) / self._side - y) / height
            if abs(above) < 1:
                half = width * sqrt(1 - above * above)
                self._span(row, x - half, x + half, colour)

    def polygon(self, corners: list[Point], colour: Colour) -> None:
        """Fills a convex polygon."""
        edges = list(zip(corners, [*corners[1:], corners[0]], strict=True))
        for row in range(self._side):
            y = (row + 0.5) / self._side
            crossings = [
                x1 + (x2 - x1) * (y - y1) / (y2 - y1) for (x1, y1), (x2, y2) in edges if min(y1, y2) <= y < max(y1, y2)
            ]
            if crossings:
                self._span(row, min(crossings), max(crossings), colour)

    def line(self, start: Point, end: Point, colour: Colour, *, width: float = 0.02) -> None:
        """A stroke between two points, drawn as a row of dots."""
        (x1, y1), (x2, y2) = start, end
        steps = max(2, round(self._side * max(abs(x2 - x1), abs(y2 - y1)) / 2))
        for step in range(steps + 1):
            share = step / steps
            self.ellipse((x1 + (x2 - x1) * share, y1 + (y2 - y1) * share), (width, width), colour)

    def png(self) -> bytes:
        """The picture as the bytes of a `.png` file."""
        pixels = b"".join(b"\0" + row for row in self._rows)
        header = struct.pack(">IIBBBBB", self._side, self._side, 8, 3, 0, 0, 0)
        palette = bytes(part for colour in self._palette for part in colour)
        return b"".join(
            [
                _SIGNATURE,
                _chunk(b"IHDR", header),
                _chunk(b"PLTE", palette),
                _chunk(b"IDAT", _stored(pixels)),
                _chunk(b"IEND", b""),
            ]
        )

    def _span(self, row: int, left: float, right: float, colour: Colour) -> None:
        start = max(0, round(left * self._side))
        stop = min(self._side, round(right * self._side))
        if stop > start:
            self._rows[row][start:stop] = bytes([self._index(colour)]) * (stop - start)

    def _index(self, colour: Colour) -> int:
        if colour not in self._palette:
            self._palette.append(colour)
        return self._palette.index(colour)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _stored(content: bytes) -> bytes:
    """A zlib stream of stored blocks (RFC 1950, RFC 1951 section 3.2.4)."""
    blocks = [content[start : start + 65535] for start in range(0, len(content), 65535)]
    written = bytearray(b"\x78\x01")
    for number, block in enumerate(blocks, start=1):
        written += struct.pack("<BHH", number == len(blocks), len(block), len(block) ^ 0xFFFF) + block
    return bytes(written) + struct.pack(">I", zlib.adler32(content))
