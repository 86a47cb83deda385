"""What a doctor needs of a backend beside the log's port: a look at every row, and rows put right.

Vocabulary only. Nothing here decides what is right; see ``dashflow.doctor``.
"""

from __future__ import annotations

from typing import Protocol

import msgspec


class Fault(msgspec.Struct, frozen=True):
    """Something in the tables that is not what was written.

    Attributes:
        code: ``index``, ``pages``, ``stream``, ``word``, ``snapshot``, ``view``, ``blob``, ``orphan``.
        problem: In words.
        stream: Which it belongs to; "" for none.
        version: Of that stream; 0 for none.
        number: Of the row, for the mender.
        key: Of a large value, where rows have no number.
        mends: Whether ``mend`` can put it right.
    """

    code: str
    problem: str
    stream: str = ""
    version: int = 0
    number: int = 0
    key: bytes = b""
    mends: bool = True


class Placed(msgspec.Struct, frozen=True):
    """An event that takes the place of one that is set aside."""

    type: str
    data: bytes
    event_id: bytes
    at: int
    was: str


class Mender(Protocol):
    """One log's tables, for looking and mending. All changes are one transaction, made by ``commit``."""

    @property
    def where(self) -> str:
        """The log, for messages."""
        ...

    def faults(self) -> list[Fault]:
        """Everything that is wrong in the tables by themselves; events' contents are not looked at."""
        ...

    def streams(self) -> dict[str, tuple[int, int]]:
        """All streams with the version up to which each is forgotten, and its last one."""
        ...

    def begin(self) -> None:
        """Keep everybody else from writing, up to ``commit`` or ``close``.

        Raises:
            StorageUnavailableError: Others are at it and do not let go.
        """
        ...

    def mend(self, fault: Fault, now: int) -> str:
        """Put a fault right; what was done, in words. What is removed is kept aside."""
        ...

    def set_aside(self, stream: str, version: int, why: str, now: int) -> tuple[int, str]:
        """Keep an event's row aside, as it is; the number it is kept under, and its type if that is known.
        0 when there is no such row."""
        ...

    def put(self, stream: str, version: int, event: Placed) -> None:
        """Write an event where ``set_aside`` has made room."""
        ...

    def commit(self) -> None:
        """Make everything since ``begin`` durable."""
        ...

    def close(self) -> None:
        """Undo what was not committed, and let go."""
        ...
