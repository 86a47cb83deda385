"""A node's code, compiled: what to call, and how its return value becomes writes.

Implements the engine's ``Body``. May not run anything by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from dashflow._util.reserved import BRANCH_TO, TASKS
from dashflow._util.sentinel import MISSING
from dashflow.channels.binop import BinaryOperatorAggregate
from dashflow.channels.last_value import LastValue
from dashflow.constants import END
from dashflow.core.plan import Channels, Reader
from dashflow.errors import ErrorCode, InvalidUpdateError, ParentCommand, create_error_message
from dashflow.graph.schema import ROOT, Schema
from dashflow.managed.base import Progress, managed_value
from dashflow.pregel.action import Action
from dashflow.types.commands import Command, Send, annotated_keys, fields_as_tuples

if TYPE_CHECKING:
    from dashflow.core.replay import Ways
    from dashflow.engine.body import Route

Writes = list[tuple[str, Any]]
_PLAIN = (LastValue, BinaryOperatorAggregate)
"""Channels that hold their value in ``value``, or MISSING there."""


class NodeBody(Action):
    """One node's code.

    Args:
        name: For messages.
        action: What to call (see ``Action``); None passes the input on (the graph's start).
        keys: State keys it may write.
        aliases: Keys of the state by the other names that an input may use.
        stamps: What makes of an update for a key what is recorded, see ``dashflow.graph.message_ids``.
    """

    __slots__ = ("_aliases", "_keys", "_root", "_stamps", "inline", "routes", "static")

    def __init__(
        self,
        name: str,
        action: Any,
        keys: Iterable[str],
        aliases: Mapping[str, str] | None = None,
        stamps: Mapping[str, Callable[[Any], Any]] | None = None,
    ) -> None:
        super().__init__(name, action)
        self.routes: list[Route] = []
        self.static: Writes = []
        self.inline = False
        self._keys = frozenset(keys)
        self._root = self._keys == {ROOT}
        self._aliases = aliases
        self._stamps = stamps

    def writes(self, result: Any) -> Writes:
        """See ``Body.writes``."""
        if self._aliases and isinstance(result, dict):
            result = {self._aliases.get(key, key): value for key, value in result.items()}
        if type(result) is dict and not self._root:
            keys = self._keys
            out = [(key, value) for key, value in result.items() if key in keys]
        else:
            out = self._root_updates(result) if self._root else self._updates(result)
            if result is not None:
                out.extend(control(result))
        if stamps := self._stamps:
            out = [(key, stamps[key](value) if key in stamps else value) for key, value in out]
        out.extend(self.static)
        return out

    def ways(self) -> Ways:
        """Where its graph leads from here, as far as that is known without running it."""
        from dashflow.core.replay import Ways  # only replays ask
        from dashflow.graph.steering import targets

        found = targets(self.thing)
        for route in self.routes:
            ends: frozenset[str] | None = getattr(route, "ends", None)
            found = None if found is None or ends is None else found | ends
        return Ways(tuple(self.static), found)

    def _updates(self, result: Any) -> Writes:
        """Updates of keyed state: a dict, a command, several of them, or an object with fields."""
        keys = self._keys
        if result is None:
            return []
        if isinstance(result, dict):
            return [(key, value) for key, value in result.items() if key in keys]
        if isinstance(result, Command):
            if result.graph == Command.PARENT:
                return []
            return [(key, value) for key, value in result.update_as_tuples() if key in keys]
        if isinstance(result, list | tuple) and any(isinstance(part, Command) for part in result):
            return [write for part in result for write in self._updates(part)]
        if isinstance(result, Send):
            return []
        fields = annotated_keys(type(result))
        if fields:
            return [(key, value) for key, value in fields_as_tuples(result, fields) if key in keys]
        raise InvalidUpdateError(
            create_error_message(
                message=f"Expected dict, got {result}", error_code=ErrorCode.INVALID_GRAPH_NODE_RETURN_VALUE
            )
        )

    def _root_updates(self, result: Any) -> Writes:
        """Updates of a state without keys."""
        if result is None:
            return []
        if isinstance(result, Command):
            return [] if result.graph == Command.PARENT else list(result.update_as_tuples())
        if isinstance(result, list | tuple) and any(isinstance(part, Command) for part in result):
            out: Writes = []
            for part in result:
                out.extend(self._root_updates(part) if isinstance(part, Command) else [(ROOT, part)])
            return out
        return [(ROOT, result)]


def control(result: Any) -> Writes:
    """Where a node's return value sends the run: the packets and gotos of commands in it.

    Raises:
        ParentCommand: A command is for the graph around this one.
    """
    if isinstance(result, Send):
        return [(TASKS, result)]
    if isinstance(result, Command):
        commands: list[Command[Any]] = [result]
    elif isinstance(result, list | tuple):
        commands = [part for part in result if isinstance(part, Command)]
    else:
        return []
    out: Writes = []
    for command in commands:
        if command.graph == Command.PARENT:
            raise ParentCommand(command)
        targets = [command.goto] if isinstance(command.goto, Send | str) else command.goto
        for target in targets:
            if isinstance(target, Send):
                out.append((TASKS, target))
            elif isinstance(target, str) and target != END:
                out.append((f"{BRANCH_TO}{target}", None))  # a call less in every step
    return out


def reader(schema: Schema) -> Reader:
    """A function that builds a node's input from the channels, compiled for a schema's keys."""
    if schema.is_root:

        def read_root(channels: Channels, progress: Progress) -> Any:
            return channels[ROOT].get() if channels[ROOT].is_available() else None

        read_root.total = True  # type: ignore[attr-defined]  # see ``NodePlan``
        return read_root
    names, managed, coerce = tuple(schema.channels), tuple(schema.managed.items()), schema.coerce
    if not managed and coerce is None and all(type(c) in _PLAIN for c in schema.channels.values()):

        def read_plain(channels: Channels, progress: Progress) -> Any:
            return {n: v for n in names if (v := channels[n].value) is not MISSING}  # type: ignore[attr-defined]

        read_plain.total = True  # type: ignore[attr-defined]  # see ``NodePlan``
        return read_plain

    def read_keys(channels: Channels, progress: Progress) -> Any:
        values = {}
        for name in names:
            channel = channels[name]
            if channel.is_available():
                values[name] = channel.get()
        for name, source in managed:
            values[name] = managed_value(source, channels, progress)
        return values if coerce is None else coerce(values)

    read_keys.total = not managed and coerce is None  # type: ignore[attr-defined]  # as above
    return read_keys
