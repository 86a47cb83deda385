"""The graphs that the simulation runs, and what their nodes check each time they begin.

A node leaves a token of its own in the state. So whatever is in the store says by itself which execution of
which task it came from, and no node needs to be told what the engine recorded.
"""

import operator
from collections import Counter, defaultdict
from collections.abc import Callable
from copy import copy
from typing import Annotated, Any, TypedDict

from langchain_core.runnables import RunnableConfig

from dashflow.graph import END, START, StateGraph
from dashflow.types import Command, RetryPolicy, Send, interrupt


class State(TypedDict, total=False):
    """What the programs work on: callers write ``ops``, nodes write ``log``."""

    n: int
    i: int
    ops: Annotated[list[str], operator.add]
    log: Annotated[list[Any], operator.add]


class Watch:
    """What nodes did to the world, and which of it they may not have done."""

    def __init__(self, durable: set[bytes]) -> None:
        self.durable = durable
        self.begun: Counter[str] = Counter()
        self.tokens: dict[str, list[bytes]] = defaultdict(list)
        self.tries: Counter[str] = Counter()
        self.repeated: list[tuple[str, Any]] = []
        self.unaccepted: list[str] = []
        self.process: Any = None
        self._count = 0

    def begin(self, name: str, task: str, state: Any) -> str:
        """A node begins; the token for its result."""
        self._count += 1
        token = f"#{self._count}#"
        if any(one in self.durable for one in self.tokens[task]):
            self.repeated.append((task, self.process() if self.process else None))
        self.unaccepted += [op for op in state.get("ops", ()) if op.encode() not in self.durable]
        self.tokens[task].append(token.encode())
        self.begun[name] += 1
        return f"{name}{token}"


class Now:
    """Whose nodes the graphs' nodes are at the moment: graphs are compiled once."""

    watch = Watch(set())
    host: Callable[[], Any]
    """The host whose turn it is: for a graph called by a node."""
    made: Callable[[Any], Any] | None = None
    """Told of the world of every case, for who wants to look into it."""


def node(name: str, result: Callable[[Any], dict[str, Any]]) -> Any:
    """A node that writes ``result(state)`` and its mark."""

    def run(state: Any, config: RunnableConfig) -> Any:
        mark = Now.watch.begin(name, config["metadata"]["langgraph_checkpoint_ns"], state)
        update = result(state)
        return {**update, "log": [mark, *update.get("log", ())]}

    run.__name__ = name
    return run


def once_more(name: str, times: int) -> None:
    """Fail so many times, over all processes."""
    watch = Now.watch
    watch.tries[name] += 1
    if watch.tries[name] <= times:
        raise ConnectionError(f"{name} once more")


def build(*nodes: str, **more: Callable[[Any], Any]) -> StateGraph:
    """A graph with these nodes one after the other."""
    builder = StateGraph(State)
    for name in nodes:
        builder.add_node(node(name, more.get(name, lambda s: {"n": s.get("n", 0) + 1})))
    for before, after in zip([START, *nodes], nodes, strict=False):
        builder.add_edge(before, after)
    return builder


def chain() -> StateGraph:
    """Three nodes one after the other."""
    return build("a", "b", "c")


def fan_out() -> StateGraph:
    """Packets and a branch beside each other, joined; one of the packets is tried again."""

    def work(state: Any) -> Any:
        if state["i"] == 1:
            once_more("work", 1)
        return {"log": [state["i"]]}

    builder = StateGraph(State)
    builder.add_node(node("split", lambda s: {}))
    retry = RetryPolicy(initial_interval=1.0, jitter=True, max_attempts=9)
    builder.add_node(node("work", work), retry_policy=retry)
    builder.add_node(node("beside", lambda s: {"n": 5}))
    builder.add_node(node("join", lambda s: {}))
    builder.add_edge(START, "split").add_edge("split", "beside").add_edge(["work", "beside"], "join")
    packets = [Send("work", {"i": i}) for i in range(3)]
    return builder.add_conditional_edges("split", lambda s: packets, ["work"])


def loop() -> StateGraph:
    """Round and round, by a Command and by a conditional edge, with timers between failures."""

    def back(state: Any, config: RunnableConfig) -> Any:
        update = node("back", lambda s: {})(state, config)
        once_more(f"back {state['n']}", state["n"] % 2)
        return Command(update=update, goto="count" if state["n"] < 4 else END)

    builder = StateGraph(State)
    builder.add_node(node("count", lambda s: {"n": s["n"] + 1}))
    retry = RetryPolicy(initial_interval=30.0, jitter=False, max_attempts=3)
    builder.add_node("back", back, destinations=("count", END), retry_policy=retry)
    return builder.add_edge(START, "count").add_edge("count", "back")


def questions() -> StateGraph:
    """Two questions in a row beside a node that asks nothing, then one more."""
    builder = StateGraph(State)
    builder.add_node(node("ask", lambda s: {"log": [interrupt("first"), interrupt("second")]}))
    builder.add_node(node("beside", lambda s: {}))
    builder.add_node(node("last", lambda s: {"n": s["n"] + 1, "log": [interrupt("third")]}))
    builder.add_edge(START, "ask").add_edge(START, "beside")
    return builder.add_edge(["ask", "beside"], "last")


def nested(checkpointer: bool | None) -> StateGraph:
    """A graph inside a node, with two steps and a question in its second one."""
    inner = build("x", "y", y=lambda s: {"log": [interrupt("inside")]}).compile(checkpointer=checkpointer)

    def call(state: Any) -> Any:
        here = copy(inner)
        here._host = Now.host()
        return {"log": here.invoke({"n": state["n"]})["log"][-3:]}

    builder = StateGraph(State)
    builder.add_node(node("before", lambda s: {}))
    builder.add_node("inner", call)
    builder.add_node(node("after", lambda s: {"n": s["n"] + 1}))
    return builder.add_edge(START, "before").add_edge("before", "inner").add_edge("inner", "after")


PROGRAMS: dict[str, Any] = {
    name: builder.compile(name=name)
    for name, builder in {
        "chain": chain(),
        "fan-out": fan_out(),
        "loop": loop(),
        "questions": questions(),
        "nested": nested(None),
        "nested-thread": nested(True),
        "nested-plain": nested(False),
    }.items()
}
