"""Nested and Namespaced: channels inside a channel: a fixed set by name, or one for every name that comes up.

Pure. Their value is a dict, their updates are dicts with some of its keys.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self

from dashflow._util.sentinel import MISSING
from dashflow.channels.base import BaseChannel
from dashflow.errors import EmptyChannelError, InvalidUpdateError

__all__ = ("Namespaced", "Nested")

Inner = BaseChannel[Any, Any, Any]


def _all_of(changes: Iterable[bool]) -> bool:
    """Whether there is a change among them; unlike ``any`` it makes them all."""
    return sum(changes) > 0


class _Group(BaseChannel[dict[str, Any], Mapping[str, Any], dict[str, Any]]):
    """What both share: inner channels by name, and the way to and from them."""

    __slots__ = ("inner",)

    inner: dict[str, Inner]

    @property
    def ValueType(self) -> Any:
        """A dict."""
        return dict[str, Any]

    @property
    def UpdateType(self) -> Any:
        """A dict."""
        return dict[str, Any]

    @abstractmethod
    def _blank(self) -> Self:
        """A new channel of the same kind, without inner channels."""

    @abstractmethod
    def _channel(self, name: str) -> Inner:
        """The inner channel of that name, to write to."""

    def _name(self, name: str, channel: Inner) -> Inner:
        channel.key = f"{self.key}.{name}" if self.key else name
        return channel

    def copy(self) -> Self:
        """An independent channel in the same state."""
        new = self._blank()
        new.inner = {name: channel.copy() for name, channel in self.inner.items()}
        return new

    def _states(self, state_of: Callable[[Inner], Any]) -> Any:
        states = {name: state_of(channel) for name, channel in self.inner.items()}
        return {name: state for name, state in states.items() if state is not MISSING} or MISSING

    def checkpoint(self) -> Any:
        """The states of the inner channels that have one, by name; MISSING when none has."""
        return self._states(lambda channel: channel.checkpoint())

    def snapshot(self) -> Any:
        """The same, whole."""
        return self._states(lambda channel: channel.snapshot())

    def get(self) -> dict[str, Any]:
        """The values of the inner channels that have one, by name.

        Raises:
            EmptyChannelError: None has.
        """
        values = {name: channel.get() for name, channel in self.inner.items() if channel.is_available()}
        if not values:
            raise EmptyChannelError()
        return values

    def is_available(self) -> bool:
        """Whether any inner channel has a value."""
        return any(channel.is_available() for channel in self.inner.values())

    def update(self, values: Sequence[Mapping[str, Any]]) -> bool:
        """Hand each part of the updates to the inner channel of its name.

        Raises:
            InvalidUpdateError: An update is no dict, names no inner channel, or cannot be taken by it.
        """
        by_name: dict[str, list[Any]] = {name: [] for name in self.inner}
        for value in values:
            if not isinstance(value, Mapping):
                raise InvalidUpdateError(
                    f"At key '{self.key}': {type(self).__name__} takes a dict of updates by name, "
                    f"not {type(value).__name__}."
                )
            for name, update in value.items():
                by_name.setdefault(name, []).append(update)
        return _all_of(self._channel(name).update(updates) for name, updates in by_name.items())

    def consume(self) -> bool:
        """See ``BaseChannel.consume``."""
        return _all_of(channel.consume() for channel in self.inner.values())

    def finish(self) -> bool:
        """See ``BaseChannel.finish``."""
        return _all_of(channel.finish() for channel in self.inner.values())


class Nested(_Group):
    """A fixed set of channels under one key, each with its own rule for updates, and what follows from them.

    Args:
        channels: The inner channels, by name.
        computed: Further names of the value, each with a function of the dict of the others; nobody writes
            them and nothing stores them.
    """

    __slots__ = ("_computed",)

    def __init__(
        self,
        channels: Mapping[str, Inner],
        *,
        computed: Mapping[str, Callable[[dict[str, Any]], Any]] | None = None,
    ) -> None:
        super().__init__(dict)
        self.inner = dict(channels)
        self._computed = dict(computed or {})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Nested) and self.inner == other.inner and self._computed == other._computed

    __hash__ = None  # type: ignore[assignment]

    @property
    def reduces(self) -> bool:
        """See ``BaseChannel.reduces``."""
        return all(channel.reduces for channel in self.inner.values())

    def _blank(self) -> Self:
        new = self.__class__({}, computed=self._computed)
        new.key = self.key
        return new

    def _channel(self, name: str) -> Inner:
        channel = self.inner.get(name)
        if channel is None:
            raise InvalidUpdateError(
                f"At key '{self.key}': there is no channel {name!r} to update. "
                f"Channels: {', '.join(sorted(self.inner))}."
            )
        return self._name(name, channel)

    def from_checkpoint(self, checkpoint: Any) -> Self:
        """A new channel with stored states; names that are no inner channel any more are left out."""
        states = {} if checkpoint is MISSING else checkpoint
        new = self._blank()
        new.inner = {
            name: channel.from_checkpoint(states.get(name, MISSING)) for name, channel in self.inner.items()
        }
        return new

    def get(self) -> dict[str, Any]:
        """The values of the inner channels that have one, and those computed from them.

        Raises:
            EmptyChannelError: No inner channel has a value.
        """
        values = super().get()
        return values | {name: function(values) for name, function in self._computed.items()}


class Namespaced(_Group):
    """A channel of the same kind for every name that comes up: one counter, list or value per user, say.

    Args:
        channel: What each of them is like; itself never written to.
    """

    __slots__ = ("_like",)

    def __init__(self, channel: Inner) -> None:
        super().__init__(dict)
        self.inner = {}
        self._like = channel

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Namespaced) and self._like == other._like

    __hash__ = None  # type: ignore[assignment]

    @property
    def reduces(self) -> bool:
        """See ``BaseChannel.reduces``."""
        return self._like.reduces

    def _blank(self) -> Self:
        new = self.__class__(self._like)
        new.key = self.key
        return new

    def _channel(self, name: str) -> Inner:
        channel = self.inner.get(name)
        if channel is None:
            channel = self.inner[name] = self._like.from_checkpoint(MISSING)
        return self._name(name, channel)

    def from_checkpoint(self, checkpoint: Any) -> Self:
        """A new channel with stored states."""
        new = self._blank()
        states = {} if checkpoint is MISSING else checkpoint
        new.inner = {name: self._like.from_checkpoint(state) for name, state in states.items()}
        return new
