"""Read a long conversation page by page, and search it. Never changes anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

from dashflow.patterns.condition import Condition, attribute_of, contains
from dashflow.patterns.routing import messages_of


@dataclass(frozen=True)
class Page:
    """A part of a conversation, oldest message first.

    Attributes:
        messages: The messages.
        start: Place of the first one in the conversation, from 0.
        total: How many messages the conversation has.
    """

    messages: list[Any]
    start: int
    total: int

    @property
    def older(self) -> str | None:
        """Pass this as ``before`` for the page before this one; None when there is none."""
        return attribute_of(self.messages[0], "id") if self.messages and self.start else None

    @property
    def newer(self) -> str | None:
        """Pass this as ``after`` for the page after this one; None when there is none."""
        after = self.start + len(self.messages) < self.total
        return attribute_of(self.messages[-1], "id") if self.messages and after else None


@dataclass(frozen=True)
class Hit:
    """A message that was looked for, and its place in the conversation, from 0."""

    message: Any
    place: int


class History(Sequence[Any]):
    """The messages of a thread, as they are at one checkpoint.

    A page costs what is on it, however long the conversation; the first page by id reads all ids once.

    Args:
        messages: The messages.
    """

    def __init__(self, messages: Sequence[Any]) -> None:
        self._messages = messages if isinstance(messages, list) else list(messages)
        self._places: dict[Any, int] | None = None

    @classmethod
    def of(cls, graph: Any, config: Any, key: str = "messages") -> History:
        """The conversation of a thread."""
        return cls(messages_of(graph.get_state(config).values, key))

    @classmethod
    async def aof(cls, graph: Any, config: Any, key: str = "messages") -> History:
        """The same for asyncio callers."""
        return cls(messages_of((await graph.aget_state(config)).values, key))

    def __len__(self) -> int:
        return len(self._messages)

    @overload
    def __getitem__(self, index: int) -> Any: ...

    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...

    def __getitem__(self, index: int | slice) -> Any:
        return self._messages[index]

    def page(self, size: int = 50, *, before: str | None = None, after: str | None = None) -> Page:
        """The newest messages; or those just before or after one.

        Args:
            size: How many at most.
            before: Id of the message that follows the page.
            after: Id of the message that the page follows.

        Raises:
            ValueError: ``size`` is less than 1, or both ids are given.
            KeyError: The conversation has no message of that id (any more).
        """
        if size < 1:
            raise ValueError(f"A page has at least one message, not {size}.")
        if before is not None and after is not None:
            raise ValueError("A page is before or after a message, not both.")
        if after is not None:
            start = self.place(after) + 1
            end = min(start + size, len(self))
        else:
            end = len(self) if before is None else self.place(before)
            start = max(end - size, 0)
        return Page(self._messages[start:end], start, len(self))

    def pages(self, size: int = 50) -> Iterator[Page]:
        """All pages, the oldest first."""
        for start in range(0, len(self), size):
            yield Page(self._messages[start : start + size], start, len(self))

    def place(self, identifier: str) -> int:
        """Where the message of an id is, from 0.

        Raises:
            KeyError: There is none.
        """
        if self._places is None:
            self._places = {attribute_of(m, "id"): place for place, m in enumerate(self._messages)}
        if identifier not in self._places:
            raise KeyError(f"No message {identifier!r} in this conversation.")
        return self._places[identifier]

    def search(
        self, words: str | Condition, *, limit: int | None = None, before: str | None = None
    ) -> Iterator[Hit]:
        """Messages with these words, or for which a condition holds, the newest first.

        Args:
            words: Words, in upper or lower case; or a condition.
            limit: How many at most.
            before: Only messages older than the one of this id: to go on after an earlier search.
        """
        condition = contains(words) if isinstance(words, str) else words
        found = 0
        for place in range((len(self) if before is None else self.place(before)) - 1, -1, -1):
            if limit is not None and found >= limit:
                return
            if condition(self._messages[place]):
                found += 1
                yield Hit(self._messages[place], place)
