"""Supervisor: one decides, agents work and report back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashflow.constants import END
from dashflow.graph.state import StateGraph
from dashflow.patterns.hub import conversation
from dashflow.patterns.routing import messages_of


def supervise(
    agents: Mapping[str, Any],
    decide: Any,
    *,
    name: str = "supervisor",
    max_turns: int | None = None,
    state_schema: Any = None,
) -> StateGraph[Any, Any, Any, Any]:
    """A graph in which a supervisor says who works next, until it says END.

    Args:
        agents: Nodes by name.
        decide: From the state to a name, several names (they work at the same time) or END: a function, a
            coroutine function, or a Runnable such as ``choice_of(model, ...)``.
        name: Name of the supervisor's node.
        max_turns: End after so many decisions.
        state_schema: ``ConversationState``, or one with its keys.

    Raises:
        ValueError: No agents, or one that is called like the supervisor.
    """
    return conversation(agents, decide, hub=name, max_turns=max_turns, state_schema=state_schema)


def choice_of(
    model: Any, agents: Mapping[str, str], *, prompt: str = "", attempts: int = 3, finish: str = "FINISH"
) -> Any:
    """A decision by a chat model; see ``json_mode``, whose guarantees hold: the answer is one of the names.

    Args:
        model: The chat model.
        agents: Names, and what each is for, in words.
        prompt: Words of your own before the list of agents.
        attempts: How often the model may be asked for one decision.
        finish: What the model answers when the work is done.
    """
    from langchain_core.runnables import RunnableLambda

    from dashflow.prebuilt.json_mode import json_mode

    listed = "\n".join(f"- {name}: {about}" for name, about in agents.items())
    told = f"{prompt}\nYou lead these agents:\n{listed}\n"
    told += f"Say who works next, or {finish!r} when the work is done."
    schema = {
        "title": "Next",
        "type": "object",
        "properties": {"next": {"enum": [*agents, finish]}},
        "required": ["next"],
    }

    def asked(state: Any) -> list[Any]:
        return [("system", told.strip()), *messages_of(state, "messages")]

    def chosen(answer: Any) -> str:
        return END if answer["next"] == finish else str(answer["next"])

    return RunnableLambda(asked) | json_mode(model, schema, attempts=attempts) | RunnableLambda(chosen)
