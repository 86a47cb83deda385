"""TypedNodes: adding nodes whose signatures a type checker holds against the graph's state and its updates.

Adds nothing to what ``StateGraph.add_node`` does at run time, but a look at the keys when it is made.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Generic, Self, get_type_hints

from typing_extensions import TypeVar

from dashflow.types.commands import Command
from dashflow.typing import StateLike, StateT

__all__ = ("Typable", "TypedNodes")

UpdateT = TypeVar("UpdateT", bound=StateLike)
"""What nodes return."""


class TypedNodes(Generic[StateT, UpdateT]):
    """Adds nodes to a graph that take its state and return a certain update.

    Args:
        builder: The ``StateGraph``; its ``typed`` makes these.
        update: What its nodes return: a TypedDict with some of the state's keys, most often ``total=False``.

    Raises:
        ValueError: A key of it is no key of the state, or is of another type there.
        TypeError: It is no TypedDict.
    """

    def __init__(self, builder: Any, update: type[UpdateT]) -> None:
        self._builder = builder
        _check_keys(builder, update)

    def add(
        self,
        name: str,
        action: Callable[[StateT], UpdateT | Command[Any] | Awaitable[UpdateT | Command[Any] | None] | None],
        **options: Any,
    ) -> Self:
        """Add a node; see ``StateGraph.add_node`` for the options and errors."""
        self._builder.add_node(name, action, **options)
        return self


class Typable(Generic[StateT]):
    """A graph that typed nodes can be added to."""

    def typed(self, update: type[UpdateT]) -> TypedNodes[StateT, UpdateT]:
        """What adds nodes whose signatures a type checker holds against the state and this kind of update.

        Args:
            update: A TypedDict with those of the state's keys that nodes may return.

        Raises:
            ValueError, TypeError: See ``TypedNodes``.
        """
        return TypedNodes(self, update)


def _check_keys(builder: Any, update: Any) -> None:
    from dashflow.core.fingerprint import type_text  # most graphs are built without
    from dashflow.core.fitting import is_keyed

    if not is_keyed(update):
        raise TypeError(f"An update is declared as a TypedDict, and {update!r} is none.")
    state = builder.schemas[builder.state_schema].hints
    for key, hint in get_type_hints(update).items():
        if key not in state:
            raise ValueError(
                f"{update.__name__}.{key} is no key of {builder.state_schema.__name__}. "
                f"Its keys: {', '.join(sorted(state))}."
            )
        mine, theirs = type_text(hint), type_text(state[key])
        if mine != theirs and "Any" not in (mine, theirs):
            raise ValueError(
                f"{update.__name__}.{key} is {mine}, and {builder.state_schema.__name__}.{key} is {theirs}."
            )
