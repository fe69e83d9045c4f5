"""How many connections all downloads have together, and how much memory each may take."""

from hfproxy.upstream.shares import SMALL_SHARE, Crowd, Share

_MIB = 1024**2
# Fewer connections than this: what a further one may hold.
_SHARES = ((1, Share(_MIB)), (8, Share(_MIB // 4)), (24, SMALL_SHARE))
_TURNS, _TURN_BYTES = 16, _MIB // 2


class Connections:
    """The count over all downloads. Each download always gets one; further ones only while there are few."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._crowd = Share(SMALL_SHARE.unit_bytes, Crowd(turns=_TURNS, unit_bytes=_TURN_BYTES))
        self.count = 0

    def may_grow(self) -> bool:
        """Whether a download that has a connection may open one more."""
        return self.count < self._most

    def share(self) -> Share:
        """What a new connection may hold in memory: less, the more there are, so that hundreds fit.

        A lone one may hold much: the fewer the hand-overs between threads, the faster it is.
        """
        return next((share for count, share in _SHARES if self.count < count), self._crowd)

    def opened(self) -> None:
        self.count += 1

    def closed(self) -> None:
        self.count -= 1
