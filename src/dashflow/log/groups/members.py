"""Which consumers of a group live: each owns a stream of its own, and the log knows which owners are alive.

The streams are reused, so that there are only as many as consumers were there at the same time, each
with one event. Nothing here claims messages.
"""

from __future__ import annotations

import os
from typing import Final

from dashflow.errors import FencedError, OwnershipConflictError
from dashflow.log.base import EVERYTHING, Append, EventLog, NewEvent
from dashflow.log.ids import EventIds

CATEGORY: Final = "consumer"

JOINED: Final = "ConsumerJoined"


class Membership:
    """One consumer's place among those of its group.

    Attributes:
        name: Who it is: the owner of its stream; "" before it joined.
    """

    def __init__(self, log: EventLog, group: str) -> None:
        self._log = log
        self._prefix = f"{CATEGORY}-{group}."
        self._stream = ""
        self._epoch = 0
        self.name = ""

    def join(self, now: int) -> str:
        """Become a new consumer, under a name that nobody had before; returns it."""
        bits = int.from_bytes(os.urandom(8), "big")
        owner = f"{self._log.instance}/{bits:016x}"
        event = NewEvent(JOINED, b"", EventIds(bits, now).next(), now)
        taken = {info.stream: info.owner for info in self._log.streams(category=CATEGORY)}
        number = 0
        while True:
            number += 1
            stream = f"{self._prefix}{number}"
            if taken.get(stream):
                continue
            append = Append(stream, [event], owner=owner, claim=True, forget=EVERYTHING)
            try:
                self._epoch = self._log.append(append).epoch
            except OwnershipConflictError:
                continue  # somebody joined at the same moment
            self._stream, self.name = stream, owner
            return owner

    def leave(self) -> None:
        """Give the place up."""
        if not self._stream:
            return
        stream, self._stream = self._stream, ""
        try:
            self._log.append(Append(stream, owner=self.name, epoch=self._epoch, release=True))
        except FencedError:
            return  # taken for dead, and the place is another's: there is nothing to give up

    def alive(self) -> frozenset[str]:
        """The names of all consumers of the group that live."""
        return frozenset(
            info.owner
            for info in self._log.streams(category=CATEGORY)
            if info.owner and info.stream.startswith(self._prefix)
        )
