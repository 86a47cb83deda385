"""Where every item of a batch stands, as one byte each: what a batch of a million costs in memory.

Never changes; a new state shares all blocks with the old one but those that differ.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Final

import msgspec


class ItemState(IntEnum):
    """Where an item stands."""

    PENDING = 0
    """Accepted; waits for its turn, or for its next attempt."""
    STARTED = 1
    """An attempt began."""
    COMPLETED = 2
    FAILED = 3
    """Given up: a dead letter."""


BLOCK: Final = 2048


class ItemStates(msgspec.Struct, frozen=True):
    """The states of ``count`` items, by index.

    Attributes:
        count: How many there are.
        blocks: One byte for each item, ``BLOCK`` to a piece.
    """

    count: int = 0
    blocks: tuple[bytes, ...] = ()

    def __getitem__(self, item: int) -> ItemState:
        """The state of an item. Raises IndexError for one that there is not."""
        if not 0 <= item < self.count:
            raise IndexError(item)
        return ItemState(self.blocks[item // BLOCK][item % BLOCK])

    def more(self, count: int) -> ItemStates:
        """With ``count`` further items, all of them pending."""
        total = self.count + count
        blocks = list(self.blocks)
        if blocks and len(blocks[-1]) < BLOCK:
            blocks[-1] = blocks[-1].ljust(min(BLOCK, total - BLOCK * (len(blocks) - 1)), b"\0")
        while (left := total - BLOCK * len(blocks)) > 0:
            blocks.append(bytes(min(BLOCK, left)))
        return ItemStates(total, tuple(blocks))

    def set(self, items: Iterable[int], state: ItemState) -> ItemStates:
        """With ``items`` in ``state``."""
        places: defaultdict[int, list[int]] = defaultdict(list)
        for item in items:
            places[item // BLOCK].append(item % BLOCK)
        if not places:
            return self
        blocks = list(self.blocks)
        for number, offsets in places.items():
            block = bytearray(blocks[number])
            for offset in offsets:
                block[offset] = state
            blocks[number] = bytes(block)
        return ItemStates(self.count, tuple(blocks))

    def replaced(self, old: ItemState, new: ItemState) -> ItemStates:
        """With all that are in ``old`` in ``new``."""
        was, will = bytes([old]), bytes([new])
        return ItemStates(self.count, tuple(block.replace(was, will) for block in self.blocks))

    def find(self, state: ItemState) -> Iterator[int]:
        """Indexes of the items in ``state``, ascending."""
        wanted = bytes([state])
        for number, block in enumerate(self.blocks):
            place = block.find(wanted)
            while place >= 0:
                yield number * BLOCK + place
                place = block.find(wanted, place + 1)
