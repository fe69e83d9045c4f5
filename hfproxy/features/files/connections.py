"""How many connections all downloads have together, and how much memory each may take."""

_MIB = 1024**2
# Fewer connections than this: what a further one may hold.
_BUFFERS = ((1, _MIB), (8, _MIB // 4))
_SMALL_BUFFER_BYTES = _MIB // 16


class Connections:
    """The count over all downloads. Each download always gets one; further ones only while there are few."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.count = 0

    def may_grow(self) -> bool:
        """Whether a download that has a connection may open one more."""
        return self.count < self._most

    def buffer_bytes(self) -> int:
        """The unit of what a new connection may hold in memory: less, the more there are, so that hundreds fit.

        A lone one may hold much: the fewer the hand-overs between threads, the faster it is.
        """
        return next((size for count, size in _BUFFERS if self.count < count), _SMALL_BUFFER_BYTES)

    def opened(self) -> None:
        self.count += 1

    def closed(self) -> None:
        self.count -= 1
