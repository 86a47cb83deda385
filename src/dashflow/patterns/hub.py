"""The graph that most conversations are: a hub decides who speaks next, agents come back to it."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from inspect import iscoroutinefunction
from typing import Annotated, Any

from dashflow._util.langchain import RunnableConfig
from dashflow.constants import END, START
from dashflow.graph.message import MessagesState
from dashflow.graph.state import StateGraph
from dashflow.patterns.condition import attribute_of
from dashflow.types.commands import Command

Decision = str | Sequence[str]
"""A name, several (they speak at the same time), or END."""


class ConversationState(MessagesState, total=False):
    """Messages, and how often the hub has let somebody speak."""

    turns: Annotated[int, operator.add]


def conversation(
    agents: Mapping[str, Any],
    decide: Any,
    *,
    hub: str,
    max_turns: int | None = None,
    state_schema: Any = None,
) -> StateGraph[Any, Any, Any, Any]:
    """A graph in which ``decide`` says after every turn who speaks next.

    Args:
        agents: Nodes by name: functions, Runnables, compiled graphs.
        decide: From the state to a decision: a function, coroutine function, or Runnable.
        hub: Name of the node that decides.
        max_turns: End after so many turns, whatever ``decide`` would say.
        state_schema: ``ConversationState``, or one with its keys.

    Raises:
        ValueError: No agents, or one that has the hub's name.
    """
    if not agents:
        raise ValueError("A conversation needs at least one agent.")
    if hub in agents:
        raise ValueError(f"An agent cannot be called {hub!r}: that is the node that decides who speaks.")
    graph: StateGraph[Any, Any, Any, Any] = StateGraph(state_schema or ConversationState)
    graph.add_node(hub, Hub(decide, frozenset(agents), max_turns).node(), destinations=(*agents, END))
    graph.add_edge(START, hub)
    for name, agent in agents.items():
        graph.add_node(name, agent)
        graph.add_edge(name, hub)
    return graph


def turns_of(state: Any) -> int:
    """How often the hub has let somebody speak."""
    return int(attribute_of(state, "turns") or 0)


class Hub:
    """What the node that decides does.

    Args:
        decide: From the state to a decision.
        names: The agents.
        max_turns: End after so many.
    """

    def __init__(self, decide: Any, names: frozenset[str], max_turns: int | None) -> None:
        self._decide = decide
        self._names = names
        self._max_turns = max_turns

    def node(self) -> Any:
        """The node: as sync or async as ``decide`` is."""
        if hasattr(self._decide, "invoke"):
            from dashflow.pregel.callable import RunnableCallable

            return RunnableCallable(self._invoke, self._ainvoke, name="decide")
        return self._await if iscoroutinefunction(self._decide) else self._call

    def _call(self, state: Any) -> Command[Any]:
        return self._command(END if self._over(state) else self._decide(state))

    async def _await(self, state: Any) -> Command[Any]:
        return self._command(END if self._over(state) else await self._decide(state))

    def _invoke(self, state: Any, config: RunnableConfig) -> Command[Any]:
        return self._command(END if self._over(state) else self._decide.invoke(state, config))

    async def _ainvoke(self, state: Any, config: RunnableConfig) -> Command[Any]:
        return self._command(END if self._over(state) else await self._decide.ainvoke(state, config))

    def _over(self, state: Any) -> bool:
        return self._max_turns is not None and turns_of(state) >= self._max_turns

    def _command(self, decision: Decision) -> Command[Any]:
        chosen = [decision] if isinstance(decision, str) else list(decision)
        if not chosen or chosen == [END]:
            return Command(goto=END)
        if unknown := [name for name in chosen if name not in self._names]:
            raise ValueError(
                f"There is no agent {unknown[0]!r}; there are {', '.join(sorted(self._names))}, "
                "and END to stop."
            )
        return Command(goto=chosen, update={"turns": 1})
