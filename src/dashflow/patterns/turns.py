"""Turn taking: agents speak one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dashflow.constants import END
from dashflow.graph.state import StateGraph
from dashflow.patterns.hub import conversation, turns_of


def take_turns(
    agents: Mapping[str, Any],
    *,
    max_turns: int,
    until: Callable[[Any], bool] | None = None,
    next_speaker: Callable[[Any], str] | None = None,
    name: str = "moderator",
    state_schema: Any = None,
) -> StateGraph[Any, Any, Any, Any]:
    """A graph in which agents speak in turn.

    Args:
        agents: Nodes by name; they speak in this order, round after round.
        max_turns: How many turns there are at most.
        until: End before the next turn when this holds of the state.
        next_speaker: From the state to who speaks next, instead of the order.
        name: Name of the node that gives the floor.
        state_schema: ``ConversationState``, or one with its keys.

    Raises:
        ValueError: No agents, or one that is called like the moderator.
    """
    order = list(agents)

    def decide(state: Any) -> str:
        if until is not None and until(state):
            return END
        return order[turns_of(state) % len(order)] if next_speaker is None else next_speaker(state)

    return conversation(agents, decide, hub=name, max_turns=max_turns, state_schema=state_schema)
