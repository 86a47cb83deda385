"""Debate: all speak at the same time, round after round; then a judge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashflow.constants import END
from dashflow.graph.state import StateGraph
from dashflow.patterns.hub import conversation, turns_of


def debate(
    debaters: Mapping[str, Any],
    judge: Any = None,
    *,
    rounds: int = 2,
    judge_name: str = "judge",
    name: str = "chair",
    state_schema: Any = None,
) -> StateGraph[Any, Any, Any, Any]:
    """A graph in which every debater answers to the round before, and a judge to all of it.

    Args:
        debaters: Nodes by name. In a round all run at the same time, so none sees the others' words of it.
        judge: Node that closes; None: nobody does.
        rounds: How many rounds.
        judge_name: Name of the judge's node.
        name: Name of the node that calls the rounds.
        state_schema: ``ConversationState``, or one with its keys.

    Raises:
        ValueError: Fewer than two debaters, no round, or a name that comes twice.
    """
    if len(debaters) < 2:
        raise ValueError(f"A debate needs at least two debaters, not {len(debaters)}.")
    if rounds < 1:
        raise ValueError(f"A debate needs at least one round, not {rounds}.")
    if judge_name in debaters:
        raise ValueError(f"A debater cannot be called {judge_name!r}: that is the judge.")
    agents = dict(debaters) if judge is None else {**debaters, judge_name: judge}

    def decide(state: Any) -> list[str] | str:
        turns = turns_of(state)
        if turns < rounds:
            return list(debaters)
        return judge_name if judge is not None and turns == rounds else END

    return conversation(agents, decide, hub=name, state_schema=state_schema)
