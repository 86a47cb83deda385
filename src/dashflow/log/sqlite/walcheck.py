"""Whether a WAL was damaged in its middle: SQLite takes what is before it, and says nothing of the rest.

A WAL that a crash has cut off ends; one that was changed goes on behind the place. Reads the file beside the
log, without SQLite, and only before anybody has opened the log: whoever does opens it up to the damage.
"""

from __future__ import annotations

import os
from struct import Struct, unpack
from typing import Final, NamedTuple

_HEAD: Final = Struct(">IIIIIIII")
_FRAME: Final = Struct(">IIIIII")


class Torn(NamedTuple):
    """Where a WAL stops to be what was written.

    Attributes:
        frame: The first frame that does not match its checksum, from 1.
        behind: How many frames behind it are of the same WAL.
        commits: How many of those end a transaction: so many may be lost.
    """

    frame: int
    behind: int
    commits: int


def torn(path: str) -> Torn | None:
    """What is wrong with the WAL at ``path``; None for a whole one, one that merely ends, or none."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return None
    if len(data) < _HEAD.size:
        return None
    magic, _, size, _, salt_1, salt_2, *_ = _HEAD.unpack_from(data)
    if magic & ~1 != 0x377F0682 or not 512 <= size <= 65536:
        return Torn(1, max(os.path.getsize(path) - _HEAD.size, 0) // 4096, 1)
    order = ">" if magic & 1 else "<"
    sums = _sums(order, data[:24], (0, 0))
    bad = behind = commits = number = 0
    for start in range(_HEAD.size, len(data) - _FRAME.size - size + 1, _FRAME.size + size):
        number += 1
        _, ends, one, two, first, second = _FRAME.unpack_from(data, start)
        if (one, two) != (salt_1, salt_2):
            if not bad:
                return None  # left over from an earlier round: the WAL ends here
            continue
        if not bad:
            sums = _sums(order, data[start : start + 8], sums)
            page = start + _FRAME.size
            sums = _sums(order, data[page : page + size], sums)
            if sums != (first, second):
                bad = number
        else:
            behind += 1
            commits += ends != 0
    return Torn(bad, behind, commits) if bad and commits else None


def _sums(order: str, data: bytes, sums: tuple[int, int]) -> tuple[int, int]:
    one, two = sums
    words = unpack(f"{order}{len(data) // 4}I", data)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        one = (one + even + two) & 0xFFFFFFFF
        two = (two + odd + one) & 0xFFFFFFFF
    return one, two
