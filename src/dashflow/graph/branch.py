"""Conditional edges: a path function and where its answers lead. Implements the engine's ``Route``."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

from dashflow._util.reserved import TASKS
from dashflow.channels.last_value import LastValue
from dashflow.constants import END, START
from dashflow.core.plan import Reader
from dashflow.core.superstep import Live
from dashflow.engine.task import Scope
from dashflow.errors import InvalidUpdateError
from dashflow.graph.schema import Schema
from dashflow.graph.signature import hints_of, is_asynchronous, wants
from dashflow.types.commands import Send


class Branch:
    """A conditional edge as the builder keeps it.

    Attributes:
        path: The function that decides.
        ends: Where its answers lead, when that was told (or its return type is a ``Literal``).
    """

    __slots__ = ("ends", "name", "path")

    def __init__(self, path: Any, path_map: Mapping[Hashable, str] | Sequence[str] | None) -> None:
        self.path = path
        name = getattr(path, "__name__", None) or getattr(path, "name", None) or type(path).__name__
        self.name = "condition" if name == "<lambda>" else name
        self.ends: dict[Hashable, str] | None = None
        if isinstance(path_map, Mapping):
            self.ends = dict(path_map)
        elif path_map is not None:
            self.ends = {name: name for name in path_map}
        else:
            answer = hints_of(path).get("return")
            if get_origin(answer) is Literal:
                self.ends = {name: name for name in get_args(answer)}


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


class BranchRoute:
    """A conditional edge, compiled for the state it reads."""

    __slots__ = ("_branch", "_extra", "_invoke", "_keys", "_read", "asynchronous", "name")

    def __init__(self, branch: Branch, schema: Schema, read: Reader) -> None:
        self.name = branch.name
        self._branch = branch
        self._read = read
        self._keys = frozenset(schema.channels)
        self._invoke = hasattr(branch.path, "invoke")
        self._extra = () if self._invoke else wants(branch.path)
        self.asynchronous = not self._invoke and is_asynchronous(branch.path)

    def read(self, live: Live, writes: Sequence[tuple[str, Any]]) -> Any:
        """The state as this task leaves it: its own writes applied to copies of the channels they go to."""
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

    def decide(self, state: Any, value: Any, scope: Scope) -> Any:
        """Ask the path function; keys that the node returned beside the state are passed on to it."""
        if isinstance(state, dict) and isinstance(value, dict):
            state = {**value, **state}
        path = self._branch.path
        if self._invoke:
            return path.invoke(state, scope.config)
        if self._extra:
            return path(state, **{key: provide(scope) for key, provide in self._extra})
        return path(state)

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
                out.append((f"branch:to:{target}", None))
        return out
