"""Swarm: one agent is active at a time, and hands over to another with a tool."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from dashflow.constants import START
from dashflow.graph.message import MessagesState
from dashflow.graph.state import StateGraph
from dashflow.patterns.condition import attribute_of
from dashflow.types.commands import Command


class SwarmState(MessagesState, total=False):
    """Messages, and who is active."""

    active_agent: str


def handoff_tool(agent: str, *, name: str | None = None, description: str | None = None) -> Any:
    """A tool with which an agent hands the conversation over to ``agent``.

    Args:
        agent: Name of the agent in the swarm (or supervisor's graph) around the one that has the tool.
        name: The tool's name; ``transfer_to_<agent>`` unless given.
        description: What the model is told of it.
    """
    from langchain_core.messages import ToolMessage
    from langchain_core.tools import InjectedToolCallId, StructuredTool

    from dashflow.prebuilt.tool_node import InjectedState

    called = name or "transfer_to_" + re.sub(r"\W+", "_", agent.strip().lower())

    def transfer(
        state: Annotated[Any, InjectedState], tool_call_id: Annotated[str, InjectedToolCallId]
    ) -> Command[Any]:
        done = ToolMessage(f"Successfully transferred to {agent}", name=called, tool_call_id=tool_call_id)
        messages = state["messages"] if isinstance(state, dict) else state.messages
        return Command(
            goto=agent,
            graph=Command.PARENT,
            update={"messages": [*messages, done], "active_agent": agent},
        )

    # The annotations are texts of names that only this function knows.
    transfer.__annotations__ = {
        "state": Annotated[Any, InjectedState],
        "tool_call_id": Annotated[str, InjectedToolCallId],
        "return": Command,
    }
    return StructuredTool.from_function(
        transfer, name=called, description=description or f"Ask agent '{agent}' for help"
    )


def swarm(
    agents: Mapping[str, Any], default_active_agent: str, *, state_schema: Any = None
) -> StateGraph[Any, Any, Any, Any]:
    """A graph in which the active agent answers; who is active stays so on the thread, run after run.

    Args:
        agents: Compiled graphs by name, with ``handoff_tool`` among their tools.
        default_active_agent: Who is active at first.
        state_schema: ``SwarmState``, or one with its keys.

    Raises:
        ValueError: The default agent is none of them.
    """
    if default_active_agent not in agents:
        raise ValueError(
            f"Default active agent {default_active_agent!r} is none of the agents: {', '.join(agents)}."
        )
    graph: StateGraph[Any, Any, Any, Any] = StateGraph(state_schema or SwarmState)
    for name, agent in agents.items():
        graph.add_node(name, agent, destinations=tuple(other for other in agents if other != name))

    def active_agent(state: Any) -> str:
        return str(attribute_of(state, "active_agent") or default_active_agent)

    graph.add_conditional_edges(START, active_agent, path_map=list(agents))
    return graph
