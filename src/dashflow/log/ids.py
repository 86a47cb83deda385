"""Event ids of a run: UUIDv7 from a time and random bits that the caller brings, counted up.

Pure: reads no clock and draws no randomness, so that the same run under simulation gets the same
ids. Nothing here touches a log.
"""

from __future__ import annotations

from typing import Final

_VERSION: Final = 0x7 << 76
_VARIANT: Final = 0b10 << 62
_SEED: Final = (1 << 61) - 1
_LOW: Final = (1 << 64) - 1
_NS_PER_MS: Final = 1_000_000


class EventIds:
    """The event ids of one run: random where it starts, then counted up by one.

    Every id is a valid UUIDv7 and larger than the one before, so that an index over ids grows at its
    end. Two runs that start at the same moment differ in 61 random bits. Not for several threads.
    """

    __slots__ = ("_last", "_until")

    def __init__(self, seed_bits: int, at: int) -> None:
        """Start at ``at`` (nanoseconds since the Unix epoch) with ``seed_bits`` (64 random bits)."""
        # The top bit of the random field stays clear: counting up cannot spill into the variant.
        self._last = _number(at, seed_bits & _SEED)
        self._until = at + _NS_PER_MS

    def next(self, at: int = 0) -> bytes:
        """The next id, 16 bytes; with ``at`` it tells the time, to the millisecond.

        Give the time where many runs write to one log: their ids then stand beside each other in the
        log's index, which costs fewer written pages. An earlier time than the last one's is ignored.
        """
        if at >= self._until:
            self._last = max(self._last, _number(at, 0) & ~_LOW | self._last & _LOW)
            self._until = at + _NS_PER_MS
        self._last = number = self._last + 1
        return number.to_bytes(16, "big")


def _number(at: int, random: int) -> int:
    """The 128 bits of an UUIDv7 as a number."""
    ms, rest = divmod(at, _NS_PER_MS)
    return (ms & (1 << 48) - 1) << 80 | _VERSION | (rest << 12) // _NS_PER_MS << 64 | _VARIANT | random
