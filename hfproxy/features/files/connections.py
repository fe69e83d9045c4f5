"""How many connections all downloads have together, and how much memory each may take."""

_FEW = 8
_LARGE_BUFFER_BYTES = 256 * 1024
_SMALL_BUFFER_BYTES = 64 * 1024


class Connections:
    """The count over all downloads. Each download always gets one; further ones only while there are few."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.count = 0

    def may_grow(self) -> bool:
        """Whether a download that has a connection may open one more."""
        return self.count < self._most

    def buffer_bytes(self) -> int:
        """What one connection may hold in memory: less, the more there are, so that hundreds fit."""
        return _LARGE_BUFFER_BYTES if self.count < _FEW else _SMALL_BUFFER_BYTES

    def opened(self) -> None:
        self.count += 1

    def closed(self) -> None:
        self.count -= 1
