"""What a low-level node writes: entries that make writes of its result, as data. Runs nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from dashflow._util.reserved import TASKS
from dashflow.errors import InvalidUpdateError
from dashflow.types.commands import Send

__all__ = ("PASSTHROUGH", "SKIP_WRITE", "ChannelWrite", "ChannelWriteEntry", "ChannelWriteTupleEntry")


class _Mark:
    """A value that means something by being this object."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


PASSTHROUGH: Final[Any] = _Mark("PASSTHROUGH")
"""Value of an entry that stands for the node's result."""

SKIP_WRITE: Final[Any] = _Mark("SKIP_WRITE")
"""What an entry's ``mapper`` returns to write nothing."""


class ChannelWriteEntry(NamedTuple):
    """A write to one channel.

    Attributes:
        channel: Its name.
        value: What to write; by default the node's result.
        skip_none: Write nothing when the value is None.
        mapper: Makes of the value what is written.
    """

    channel: str
    value: Any = PASSTHROUGH
    skip_none: bool = False
    mapper: Callable[[Any], Any] | None = None


class ChannelWriteTupleEntry(NamedTuple):
    """Writes that are made of a value.

    Attributes:
        mapper: From the value to pairs of channel and value, or None.
        value: By default the node's result.
        static: Where it may lead, for drawings.
    """

    mapper: Callable[[Any], Sequence[tuple[str, Any]] | None]
    value: Any = PASSTHROUGH
    static: Sequence[tuple[str, Any, str | None]] | None = None


Entry = ChannelWriteEntry | ChannelWriteTupleEntry | Send


class ChannelWrite:
    """Writes of a node, made of its result, which goes on to whatever comes after.

    Attributes:
        writes: The entries.

    Raises:
        InvalidUpdateError: An entry is for the channel of packets, which only ``Send`` writes to.
    """

    __slots__ = ("writes",)

    def __init__(self, writes: Sequence[Entry]) -> None:
        for entry in writes:
            if isinstance(entry, ChannelWriteEntry) and entry.channel == TASKS:
                raise InvalidUpdateError("Cannot write to the reserved channel TASKS")
        self.writes = list(writes)

    def __repr__(self) -> str:
        return f"ChannelWrite({self.writes!r})"

    def of(self, result: Any) -> list[tuple[str, Any]]:
        """The writes for a result."""
        out: list[tuple[str, Any]] = []
        for entry in self.writes:
            if isinstance(entry, Send):
                out.append((TASKS, entry))
                continue
            value = result if entry.value is PASSTHROUGH else entry.value
            if isinstance(entry, ChannelWriteTupleEntry):
                out.extend(entry.mapper(value) or ())
                continue
            if entry.mapper is not None:
                value = entry.mapper(value)
            if value is not SKIP_WRITE and not (entry.skip_none and value is None):
                out.append((entry.channel, value))
        return out
