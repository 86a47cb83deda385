"""Conditional edges: a path function and where its answers lead. Implements the engine's ``Route``."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

from dashflow._util.reserved import BRANCH_TO, TASKS
from dashflow._util.sentinel import MISSING
from dashflow.channels.last_value import LastValue
from dashflow.constants import END, START
from dashflow.core.plan import Reader
from dashflow.core.superstep import Live
from dashflow.engine.task import Scope
from dashflow.errors import InvalidUpdateError
from dashflow.graph.schema import Schema
from dashflow.pregel.action import Action, check_callable, is_runnable, name_of
from dashflow.pregel.signature import hints_of, input_schema_of
from dashflow.types.commands import Send


class Branch:
    """A conditional edge as the builder keeps it.

    Attributes:
        path: The function or ``Runnable`` that decides.
        name: It goes by this name; one node cannot have two branches of one name.
        ends: Where its answers lead, when that was told (or its return type is a ``Literal``).
        input_schema: What it reads, when its first parameter says so; None: what the node read.
    """

    __slots__ = ("ends", "input_schema", "name", "path")

    def __init__(self, path: Any, path_map: Mapping[Hashable, str] | Sequence[str] | None = None) -> None:
        check_callable("a conditional edge", path)
        self.path = path
        self.name = (getattr(path, "name", None) if is_runnable(path) else name_of(path)) or "condition"
        function = _function_of(path)
        hints = {} if function is None else hints_of(function)
        self.input_schema = None if function is None else input_schema_of(function, hints)
        self.ends: dict[Hashable, str] | None = None
        if isinstance(path_map, Mapping):
            self.ends = dict(path_map)
        elif path_map is not None:
            self.ends = {name: name for name in path_map}
        else:
            answer = hints.get("return")
            if get_origin(answer) is Literal:
                self.ends = {name: name for name in get_args(answer)}


def _function_of(path: Any) -> Any:
    """The function that a path is, or that a ``Runnable`` was made of."""
    if not is_runnable(path):
        return path
    return getattr(path, "func", None) or getattr(path, "afunc", None)


class _Value:
    """Stands for a channel that was just given one value, where only the value is read."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def is_available(self) -> bool:
        """There is one."""
        return True

    def get(self) -> Any:
        """The value."""
        return self.value


class BranchRoute(Action):
    """A conditional edge, compiled for the state it reads."""

    __slots__ = ("_branch", "_keys", "_read")

    def __init__(self, branch: Branch, schema: Schema, read: Reader | None) -> None:
        super().__init__(branch.name, branch.path)
        self._branch = branch
        self._read = read
        self._keys = frozenset(schema.channels)

    @property
    def ends(self) -> frozenset[str] | None:
        """The nodes that it may lead to, if that was told; None: any. Packets may go anywhere."""
        ends = self._branch.ends
        return None if ends is None else frozenset(ends.values())

    def read(self, live: Live, writes: Sequence[tuple[str, Any]]) -> Any:
        """The state as this task leaves it: its own writes applied to copies of the channels they go to."""
        if self._read is None:
            return MISSING
        channels, keys = live.channels, self._keys
        fresh: dict[str, Any] | None = None
        for name, value in writes:
            if name in keys:
                if fresh is None:
                    fresh = dict(channels)
                if type(channels[name]) is LastValue:
                    fresh[name] = _Value(value)
                else:
                    fresh[name] = channels[name].copy()
                    fresh[name].update([v for n, v in writes if n == name])
        return self._read(channels if fresh is None else fresh, live)

    def decide(self, state: Any, value: Any, scope: Scope, asynchronous: bool = False) -> Any:
        """Ask the path function; keys that the node returned beside the state are passed on to it."""
        if state is MISSING:
            state = value
        elif isinstance(state, dict) and isinstance(value, dict) and self._branch.input_schema is None:
            state = {**value, **state}
        return self.call(state, scope, asynchronous)

    def writes(self, decision: Any) -> list[tuple[str, Any]]:
        """The writes that lead to where it decided.

        Raises:
            ValueError: It decided for nothing, or for the start.
            InvalidUpdateError: It sends a packet to the end.
            KeyError: An answer that the path map does not have.
        """
        answers = decision if isinstance(decision, list | tuple) else [decision]
        ends = self._branch.ends
        out: list[tuple[str, Any]] = []
        for answer in answers:
            if isinstance(answer, Send):
                if answer.node == END:
                    raise InvalidUpdateError("Cannot send a packet to the END node")
                out.append((TASKS, answer))
                continue
            target = ends[answer] if ends else answer
            if target is None or target == START:
                raise ValueError("Branch did not return a valid destination")
            if target != END:
                out.append((f"{BRANCH_TO}{target}", None))  # a call less in every step
        return out
