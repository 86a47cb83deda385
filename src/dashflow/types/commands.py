"""What nodes and callers tell a graph: Send, Command, Overwrite, StateUpdate. Plain values, no behaviour
beyond taking a command's update apart."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from inspect import get_annotations
from typing import Any, ClassVar, Generic, Literal, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from msgspec import UNSET

from dashflow._util.reserved import OVERWRITE
from dashflow._util.sentinel import MISSING
from dashflow.types.policies import TimeoutPolicy

__all__ = ("Command", "CommandBase", "Overwrite", "Send", "StateUpdate", "overwrite_of")


class Send:
    """Run a node in the next step with an input of its own, once per ``Send``.

    Attributes:
        node: Name of the node.
        arg: What it is called with, instead of the graph's state.
        timeout: Limits of this one task; None: those of the node.
    """

    __slots__ = ("arg", "node", "timeout")

    node: str
    arg: Any
    timeout: TimeoutPolicy | None

    def __init__(
        self, /, node: str, arg: Any, *, timeout: float | timedelta | TimeoutPolicy | None = None
    ) -> None:
        self.node = node
        self.arg = arg
        self.timeout = None if timeout is None else TimeoutPolicy.coerce(timeout)

    def __hash__(self) -> int:
        return hash((self.node, self.arg, self.timeout))

    def __repr__(self) -> str:
        if self.timeout is None:
            return f"Send(node={self.node!r}, arg={self.arg!r})"
        return f"Send(node={self.node!r}, arg={self.arg!r}, timeout={self.timeout!r})"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Send)
            and self.node == other.node
            and self.arg == other.arg
            and self.timeout == other.timeout
        )


class _Root:
    """CPython lets the bases of a class be replaced only when its own base is not ``object`` itself."""


class CommandBase(_Root):
    """Empty base of ``Command``, to which LangChain's marker for tool results is added when it loads."""

    @classmethod
    def adopt(cls, mixin: type) -> None:
        """Make every ``Command``, also those that exist, an instance of ``mixin``. Twice is once."""
        if not issubclass(cls, mixin):
            CommandBase.__bases__ = (mixin,)


N = TypeVar("N", bound=Hashable)


@dataclass(kw_only=True, slots=True, frozen=True)
class Command(Generic[N], CommandBase):
    """Change the graph's state, go somewhere, answer a question: in one value.

    Attributes:
        graph: None for the graph it is returned in, ``Command.PARENT`` for the one around it.
        update: A dict, a list of (key, value) pairs, or an object with annotated fields.
        resume: The answer to the question a run waits for, or a mapping of question ids to answers.
        goto: A node's name, a ``Send``, or a sequence of these.
    """

    graph: str | None = None
    update: Any | None = None
    resume: dict[str, Any] | Any | None = None
    goto: Send | Sequence[Send | N] | N = ()

    PARENT: ClassVar[Literal["__parent__"]] = "__parent__"

    def __repr__(self) -> str:
        given = [
            f"{name}={value!r}"
            for name in ("graph", "update", "resume", "goto")
            if _says_something(value := getattr(self, name))
        ]
        return f"Command({', '.join(given)})"

    def update_as_tuples(self) -> Sequence[tuple[str, Any]]:
        """The update as (key, value) pairs; a value that has no keys is that of ``__root__``."""
        update = self.update
        if isinstance(update, dict):
            return list(update.items())
        if isinstance(update, (list, tuple)) and all(_is_pair(item) for item in update):
            return update
        if keys := annotated_keys(type(update)):
            return fields_as_tuples(update, keys)
        return [] if update is None else [("__root__", update)]

    _update_as_tuples = update_as_tuples


def _says_something(value: Any) -> bool:
    """Truth, for values whose truth may be no bool (arrays)."""
    try:
        return bool(value)
    except Exception:
        return True


def _is_pair(item: Any) -> bool:
    return isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str)


@dataclass(slots=True)
class Overwrite:
    """Replace a channel's value instead of reducing into it; at most one per channel and step.

    Attributes:
        value: The new value.
        type: Tells an overwrite apart after a trip through JSON, which loses the class.
    """

    value: Any
    type: Literal["__overwrite__"] = "__overwrite__"


def overwrite_of(value: Any) -> Any:
    """What ``value`` overwrites with, or MISSING when it is an ordinary update.

    Besides ``Overwrite`` these are its forms in JSON, ``{"__overwrite__": v}`` and
    ``{"value": v, "type": "__overwrite__"}``.
    """
    if isinstance(value, Overwrite):
        return value.value
    if isinstance(value, dict):
        if len(value) == 1:
            return value.get(OVERWRITE, MISSING)
        if value.get("type") == OVERWRITE and "value" in value:
            return value["value"]
    return MISSING


class StateUpdate(NamedTuple):
    """One update of ``bulk_update_state``: what to write, as which node, under which task's id."""

    values: dict[str, Any] | None
    as_node: str | None = None
    task_id: str | None = None


# -- objects as updates -------------------------------------------------------------------------

_KEYS: WeakKeyDictionary[type, tuple[str, ...]] = WeakKeyDictionary()


def annotated_keys(kind: type) -> tuple[str, ...]:
    """Names that ``kind`` and its bases annotate, bases first; () for types without annotations."""
    keys = _KEYS.get(kind)
    if keys is None:
        found: dict[str, None] = {}
        for base in reversed(kind.__mro__):
            found.update(dict.fromkeys(own_annotations(base)))
        keys = _KEYS[kind] = tuple(found)
    return keys


def own_annotations(kind: type) -> Any:
    """Annotations of one class, never evaluated: names that only a type checker knows are fine."""
    if sys.version_info >= (3, 14):
        from annotationlib import Format
        from annotationlib import get_annotations as annotations_of

        return annotations_of(kind, format=Format.FORWARDREF)
    return get_annotations(kind)


def fields_as_tuples(value: Any, keys: Sequence[str]) -> list[tuple[str, Any]]:
    """An object's fields as (key, value) pairs, without those that nobody gave: None in a pydantic model,
    ``UNSET`` in a Struct. These are no update."""
    given: Any = ()
    fields: Any = {}
    if hasattr(value, "__pydantic_fields_set__"):
        given = value.model_fields_set
        fields = type(value).model_fields
    pairs = []
    for key in keys:
        item = getattr(value, key, MISSING)
        if item is MISSING or item is UNSET:
            continue
        if item is None and key in fields and fields[key].default is None and key not in given:
            continue
        pairs.append((key, item))
    return pairs
