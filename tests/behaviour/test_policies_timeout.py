"""Time limits of async nodes: the attempt is given up, and nothing that it still does counts.

The clock here is the real one: nodes that must not be given up have a limit many times as long as what they
do between two signs of progress.
"""

import asyncio
import operator
import threading
from datetime import timedelta
from typing import Annotated, TypedDict

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.runnables import RunnableLambda

from dashflow.checkpoint.memory import InMemorySaver
from dashflow.errors import NodeError, NodeTimeoutError
from dashflow.graph import START, StateGraph
from dashflow.runtime import Runtime
from dashflow.types import RetryPolicy, Send, TimeoutPolicy

pytestmark = pytest.mark.feature("RUN-08")

SOON = 0.01
NEVER = 3600.0
CONFIG = {"configurable": {"thread_id": "t"}}


async def for_ever(state):
    await asyncio.Event().wait()


def graph_of(node, schema=dict, **options):
    return StateGraph(schema).add_node("node", node, **options).add_edge(START, "node")


@pytest.mark.parametrize("limit", [SOON, timedelta(milliseconds=10), TimeoutPolicy(run_timeout=SOON)])
async def test_an_attempt_that_takes_too_long_is_given_up(limit) -> None:
    with pytest.raises(NodeTimeoutError) as raised:
        await graph_of(for_ever, timeout=limit).compile().ainvoke({})
    error = raised.value
    assert (error.node, error.kind, error.timeout, error.idle_timeout) == ("node", "run", SOON, None)
    assert error.elapsed >= SOON


async def test_an_attempt_without_progress_is_given_up_and_both_limits_are_told() -> None:
    limits = TimeoutPolicy(run_timeout=NEVER, idle_timeout=SOON)
    with pytest.raises(NodeTimeoutError, match="without making progress") as raised:
        await graph_of(for_ever, timeout=limits).compile().ainvoke({})
    assert (raised.value.kind, raised.value.run_timeout) == ("idle", NEVER)


async def turns(count):
    for _ in range(count):
        await asyncio.sleep(0)


class Beats:
    """A node that goes on until it was idle for longer than its limit, were it not for ``beat``."""

    def __init__(self, beat) -> None:
        self.beat = beat

    async def __call__(self, state, runtime: Runtime):
        loop = asyncio.get_running_loop()
        end = loop.time() + 0.7
        while loop.time() < end:
            await asyncio.sleep(0.005)
            self.beat(runtime)
        return {"n": 1}


def heartbeat(runtime):
    runtime.heartbeat()


def write(runtime):
    runtime.stream_writer("on my way")


@pytest.mark.parametrize(
    ("beat", "refresh_on"), [(heartbeat, "auto"), (heartbeat, "heartbeat"), (write, "auto")]
)
async def test_progress_starts_the_idle_time_anew(beat, refresh_on) -> None:
    limits = TimeoutPolicy(idle_timeout=0.5, refresh_on=refresh_on)
    assert await graph_of(Beats(beat), timeout=limits).compile().ainvoke({}) == {"n": 1}


async def test_only_heartbeats_count_where_that_is_asked_for() -> None:
    limits = TimeoutPolicy(idle_timeout=0.1, refresh_on="heartbeat")
    with pytest.raises(NodeTimeoutError):
        await graph_of(Beats(write), timeout=limits).compile().ainvoke({})


async def test_steps_of_a_graph_inside_are_progress() -> None:
    async def step(state):
        await asyncio.sleep(0.1)
        return {"n": state["n"] + 1}

    inner = StateGraph(dict).add_sequence([(name, step) for name in "abcdef"]).add_edge(START, "a").compile()

    async def node(state):
        return await inner.ainvoke(state)

    limits = TimeoutPolicy(idle_timeout=0.45)
    assert await graph_of(node, timeout=limits).compile().ainvoke({"n": 0}) == {"n": 6}


async def test_events_of_langchain_are_progress() -> None:
    class Slow(GenericFakeChatModel):
        async def _astream(self, *args, **options):
            for chunk in self._stream(*args, **options):
                await asyncio.sleep(0.08)
                yield chunk

    model = Slow(messages=iter(["one two three four five"]))

    async def node(state, config):
        return {"text": [chunk.content async for chunk in model.astream("go", config)]}

    result = await graph_of(node, timeout=TimeoutPolicy(idle_timeout=0.5)).compile().ainvoke({})
    assert "".join(result["text"]) == "one two three four five"


async def test_a_time_out_is_retried_by_default() -> None:
    tried = []

    async def node(state):
        tried.append(1)
        if len(tried) == 1:
            await for_ever(state)
        return {"n": len(tried)}

    once_more = RetryPolicy(initial_interval=0, jitter=False)
    graph = graph_of(node, timeout=0.5, retry_policy=once_more).compile()
    assert await graph.ainvoke({}) == {"n": 2}


async def test_a_time_out_can_be_handled() -> None:
    def handler(state, error: NodeError):
        return {"kind": error.error.kind}

    graph = graph_of(for_ever, timeout=SOON, error_handler=handler).compile()
    assert await graph.ainvoke({}) == {"kind": "run"}


async def test_what_ignores_its_cancel_is_not_waited_for_and_not_heard_any_more() -> None:
    parts, ended = [], asyncio.Event()

    async def node(state, runtime: Runtime):
        try:
            await for_ever(state)
        except asyncio.CancelledError:
            await turns(20)
        runtime.stream_writer("too late")
        ended.set()
        return {"late": True}

    def handler(state):
        return {"handled": True}

    graph = graph_of(node, timeout=SOON, error_handler=handler).compile()
    async for mode, part in graph.astream({}, stream_mode=["custom", "values"]):
        parts.append((mode, part))
    await ended.wait()
    assert parts[-1] == ("values", {"handled": True})
    assert not [part for mode, part in parts if mode == "custom"]


async def test_a_packet_may_have_a_limit_of_its_own() -> None:
    def route(state):
        return [Send("node", state, timeout=SOON)]

    builder = StateGraph(dict).add_node("node", for_ever, timeout=NEVER).add_conditional_edges(START, route)
    with pytest.raises(NodeTimeoutError) as raised:
        await builder.compile().ainvoke({})
    assert raised.value.timeout == SOON


async def test_a_limit_for_all_nodes_is_for_those_without_their_own() -> None:
    async def quick(state):
        await turns(3)
        return {"n": 1}

    builder = StateGraph(dict).set_node_defaults(timeout=SOON)
    builder.add_node("patient", quick, timeout=NEVER).add_node("node", for_ever)
    builder.add_edge(START, "patient").add_edge("patient", "node")
    with pytest.raises(NodeTimeoutError) as raised:
        await builder.compile().ainvoke({})
    assert raised.value.node == "node"


async def test_an_error_of_the_node_is_no_time_out() -> None:
    async def node(state):
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own") as raised:
        await graph_of(node, timeout=NEVER).compile().ainvoke({})
    assert not isinstance(raised.value, NodeTimeoutError)


def test_sync_code_cannot_be_limited() -> None:
    def sync(state):
        return state

    async def awaits(state):
        return state

    for action in (sync, RunnableLambda(sync), RunnableLambda(awaits) | RunnableLambda(sync)):
        with pytest.raises(ValueError, match="only supported for async nodes"):
            graph_of(action, timeout=SOON).compile()
    for action in (awaits, RunnableLambda(awaits), RunnableLambda(awaits).with_config(tags=["t"])):
        graph_of(action, timeout=SOON).compile()
    with pytest.raises(ValueError, match="greater than 0"):
        graph_of(awaits, timeout=0)
    with pytest.raises(ValueError, match=r"only supported for async nodes.*'node' is sync"):
        graph_of(awaits, timeout=SOON).compile().invoke({})


async def test_a_limit_of_the_step_stops_all_of_its_tasks_and_the_thread_can_go_on() -> None:
    stopped = []

    async def waits(state):
        try:
            await asyncio.Event().wait() if not stopped else None
        except asyncio.CancelledError:
            stopped.append("waits")
            raise
        return {"log": ["waits"]}

    async def quick(state):
        stopped.append("quick ran") if stopped else None
        return {"log": ["quick"]}

    class State(TypedDict):
        log: Annotated[list, operator.add]

    builder = StateGraph(State).add_node("waits", waits).add_node("quick", quick)
    graph = builder.add_edge(START, "waits").add_edge(START, "quick").compile(checkpointer=InMemorySaver())
    graph.step_timeout = 0.5
    with pytest.raises(TimeoutError):
        await graph.ainvoke({"log": []}, CONFIG)
    assert stopped == ["waits"]
    graph.step_timeout = None
    assert sorted((await graph.ainvoke(None, CONFIG))["log"]) == ["quick", "waits"]
    assert stopped == ["waits"], "what was done before the time-out is not done again"


def test_a_limit_of_the_step_holds_for_sync_callers_when_its_tasks_come_to_their_end() -> None:
    def waits(state):
        threading.Event().wait(0.2)
        return {"n": 1}

    def quick(state):
        return {}

    builder = StateGraph(dict).add_node("waits", waits).add_node("quick", quick)
    graph = builder.add_edge(START, "waits").add_edge(START, "quick").compile()
    graph.step_timeout = 0.01
    with pytest.raises(TimeoutError, match="Timed out"):
        graph.invoke({})
