"""Updates and states beside the rules of their schema: the first broken one is an error. Pure.

Called only where a graph's schema has rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

from dashflow._util.sentinel import MISSING
from dashflow.channels.base import BaseChannel
from dashflow.channels.binop import BinaryOperatorAggregate
from dashflow.channels.delta import DeltaChannel
from dashflow.channels.last_value import LastValue
from dashflow.core.constraints import Broken, Check
from dashflow.errors import StateValidationError
from dashflow.types.commands import overwrite_of

Channels = Mapping[str, BaseChannel[Any, Any, Any]]
Checks = Mapping[str, Check]
Writes = Iterable[tuple[str, Any]]
ROOT = "__root__"
_REDUCED = (BinaryOperatorAggregate, DeltaChannel)


class Rules:
    """The rules of a graph's state.

    Args:
        checks: By key.
        given: Those of the input alone.
        start: The channel that takes an input which is more than one key; "" for none.
        updates: What an input for that channel writes.
        native: Makes an object of the state's own class, which has an error of its own for a bad value; None
            for classes that have none.
    """

    __slots__ = ("_checks", "_given", "_native", "_start", "_updates")

    def __init__(
        self,
        checks: Checks,
        given: Checks,
        start: str,
        updates: Callable[[Any], Writes] | None,
        native: Callable[[Mapping[str, Any]], Any] | None,
    ) -> None:
        self._native = native
        self._checks = checks
        self._given = given
        self._start = start
        self._updates = updates

    def given(self, channels: Channels, writes: Writes) -> None:
        """See that an input keeps the rules.

        Raises:
            StateValidationError: It breaks one.
        """
        told: list[tuple[str, Any]] = []
        for key, value in writes:
            told += (
                self._updates(value) if key == self._start and self._updates is not None else [(key, value)]
            )
        try:
            self._written(self._given, channels, "input", told)
            self._written(self._checks, channels, "input", told)
        except StateValidationError:
            if self._native is None:
                raise
            # Its own error is what users of such classes expect; and it may make the value fit.
            self._native({**_held(channels), **dict(told)})

    def load(self, channels: Channels, given: Any) -> None:
        """See that what was stored keeps the rules, but for what an input replaces.

        Raises:
            StateValidationError: It breaks one.
        """
        replaced = given if isinstance(given, Mapping) else ()
        self.state(channels, "load", [key for key in self._checks if key not in replaced])

    def writes(self, channels: Channels, node: str, writes: Writes) -> None:
        """See that what a task writes keeps the rules: of a key with a reducer, what it comes to.

        Args:
            channels: As they are before the writes.
            node: Who writes.
            writes: What.

        Raises:
            StateValidationError: It breaks one.
        """
        self._written(self._checks, channels, node, writes)

    def state(self, channels: Channels, node: str, keys: Iterable[str] | None = None) -> None:
        """See that values keep the rules.

        Args:
            channels: Where the values are.
            node: Who is to be named.
            keys: Which; None: all.

        Raises:
            StateValidationError: One breaks one.
        """
        for key in self._checks if keys is None else keys:
            if key in self._checks and key in channels:
                _look(self._checks[key], channels[key], key, node)

    def _written(self, checks: Checks, channels: Channels, node: str, writes: Writes) -> None:
        reduced: dict[str, list[Any]] = {}
        for key, value in writes:
            check = checks.get(key)
            if check is None:
                continue
            if isinstance(channels.get(key), _REDUCED):
                reduced.setdefault(key, []).append(value)
                continue
            new = overwrite_of(value)
            if (broken := check(value if new is MISSING else new)) is not None:
                _refuse(node, key, broken)
        for key, values in reduced.items():
            channel = channels[key].copy()
            channel.update(values)
            _look(checks[key], channel, key, node)


def _held(channels: Channels) -> dict[str, Any]:
    return {
        name: channel.get()
        for name, channel in channels.items()
        if not name.startswith(("__", "branch:", "join:")) and channel.is_available()
    }


def _look(check: Check, channel: BaseChannel[Any, Any, Any], key: str, node: str) -> None:
    if (
        isinstance(channel, (LastValue, *_REDUCED))
        and channel.is_available()
        and (broken := check(channel.get())) is not None
    ):
        _refuse(node, key, broken)


def _refuse(node: str, key: str, broken: Broken) -> NoReturn:
    joined = broken.path if broken.path.startswith("[") or not broken.path else f".{broken.path}"
    field = joined.removeprefix(".") if key == ROOT else f"{key}{joined}"
    raise StateValidationError(node, field or "the state", broken.value, broken.rule)
