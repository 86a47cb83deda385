"""Path functions that go by the last message. May not run anything but conditions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from dashflow.constants import END
from dashflow.patterns.condition import Condition, attribute_of

Rule = tuple[Condition, str | Sequence[str]]


def messages_of(state: Any, key: str) -> list[Any]:
    """The state's messages; a list is its own messages."""
    if isinstance(state, list):
        return state
    found = attribute_of(state, key)
    return list(found) if found else []


def route_messages(
    *rules: Rule, otherwise: str = END, key: str = "messages", several: bool = False
) -> Callable[[Any], str | list[str]]:
    """A path function for ``add_conditional_edges``: the first rule whose condition holds says where to go.

    Args:
        rules: Pairs of a condition on the last message and the node, or nodes, to go to.
        otherwise: Where to go when no condition holds, or there is no message.
        key: The state's key of messages.
        several: Follow every rule that holds, not only the first.

    Raises:
        ValueError: There is no rule.
    """
    if not rules:
        raise ValueError("route_messages() needs at least one rule: a pair of a condition and a node.")
    targets = [
        (condition, [target] if isinstance(target, str) else list(target)) for condition, target in rules
    ]

    def route(state: Any) -> str | list[str]:
        messages = messages_of(state, key)
        found: dict[str, None] = {}
        for condition, nodes in targets if messages else ():
            if condition(messages[-1], state):
                found.update(dict.fromkeys(nodes))
                if not several:
                    break
        return list(found) or otherwise

    # What a graph reads to know where this may lead, as if it were written at the function.
    names = tuple(dict.fromkeys([*(name for _, nodes in targets for name in nodes), otherwise]))
    route.__annotations__["return"] = Literal[names]
    route.__name__ = "route_messages"
    return route
