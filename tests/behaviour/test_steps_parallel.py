"""Nodes of one superstep run at the same time, and who waits for them does nothing meanwhile."""

import asyncio
import operator
import sys
import threading
from typing import Annotated, Any, TypedDict

import pytest

from dashflow.graph import START, StateGraph
from dashflow.types import Send

pytestmark = pytest.mark.feature("RUN-11")


class State(TypedDict, total=False):
    log: Annotated[list[Any], operator.add]


def fan(*nodes):
    """The nodes beside each other, and two packets beside them to the last one."""
    builder = StateGraph(State)
    for name, node in zip("abc", nodes, strict=True):
        builder.add_node(name, node)
    for name in "ab":
        builder.add_edge(START, name)
    return builder.add_conditional_edges(START, lambda state: [Send("c", {}), Send("c", {})], ["c"]).compile()


def test_sync_nodes_and_packets_meet_on_threads() -> None:
    meet = threading.Barrier(4, timeout=30)

    def node(state):
        meet.wait()
        return {"log": [1]}

    assert fan(node, node, node).invoke({"log": []}) == {"log": [1] * 4}


async def test_async_and_sync_nodes_meet() -> None:
    loop, started, go = asyncio.get_running_loop(), [], threading.Event()
    all_started = asyncio.Event()

    def begin():
        started.append(1)
        if len(started) == 4:
            all_started.set()
            go.set()

    async def free(state):
        begin()
        await all_started.wait()
        return {"log": [1]}

    def blocking(state):
        loop.call_soon_threadsafe(begin)
        assert go.wait(30)
        return {"log": [1]}

    assert await fan(free, blocking, free).ainvoke({"log": []}) == {"log": [1] * 4}


def test_waiting_for_threads_takes_no_calls() -> None:
    """However long the nodes take, the flow that waits for them makes the same calls."""

    def calls(slow: bool) -> int:
        count, began, go = 0, threading.Event(), threading.Event()

        def waits(state):
            began.set()
            assert go.wait(30)
            return {"log": [1]}

        builder = StateGraph(State).add_node("a", waits).add_node("b", lambda state: {"log": [1]})
        graph = builder.add_edge(START, "a").add_edge(START, "b").compile()

        def tally(frame: Any, event: str, argument: Any) -> None:
            nonlocal count
            count += event in ("call", "c_call")

        def release():
            began.wait(30)
            if slow:
                threading.Event().wait(0.1)
            go.set()

        releasing = threading.Thread(target=release)
        releasing.start()
        before = sys.getprofile()
        sys.setprofile(tally)
        try:
            for _ in graph.stream({"log": []}, stream_mode=["updates", "custom"]):
                pass
        finally:
            sys.setprofile(before)
        releasing.join()
        return count

    calls(False)  # what is made once per process
    # The least of several: a thread that is not back from its last job yet costs the calls for a new one.
    assert min(calls(True) for _ in range(5)) <= min(calls(False) for _ in range(5)) + 5


async def test_waiting_for_tasks_sets_no_timers(monkeypatch) -> None:
    timers = []
    loop = asyncio.get_running_loop()
    original = loop.call_at
    monkeypatch.setattr(
        loop, "call_at", lambda *args, **options: timers.append(args) or original(*args, **options)
    )
    meet = asyncio.Barrier(4)

    async def node(state):
        await meet.wait()
        return {"log": [1]}

    assert await fan(node, node, node).ainvoke({"log": []}) == {"log": [1] * 4}
    assert not timers
