"""Graphs inside tasks, where two hosts meet and where a task is given up before its graph is done."""

import asyncio
import operator
import threading
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest

from dashflow.checkpoint.memory import InMemorySaver
from dashflow.checkpoint.sqlite.aio import AsyncSqliteSaver
from dashflow.func import entrypoint, task
from dashflow.graph import START, StateGraph
from dashflow.types import Command, RetryPolicy, TimeoutPolicy

CONFIG = {"configurable": {"thread_id": "1"}}


class State(TypedDict, total=False):
    """What was done."""

    log: Annotated[list[str], operator.add]


def graph(node: Any, **options: Any) -> StateGraph[State]:
    builder = StateGraph(State)
    builder.add_node("only", node, **options)
    builder.add_edge(START, "only")
    return builder


@pytest.mark.feature("RUN-13")
@pytest.mark.parametrize("saver", ["memory", "sqlite"])
async def test_a_blocking_node_of_an_asynchronous_run_calls_a_graph(saver: str, tmp_path: Path) -> None:
    inner = graph(lambda state: {"log": ["inside"]}).compile()

    def outer(state: State) -> Any:
        return inner.invoke({})

    kept = InMemorySaver() if saver == "memory" else AsyncSqliteSaver(str(tmp_path / "threads.db"))
    try:
        assert await graph(outer).compile(checkpointer=kept).ainvoke({}, CONFIG) == {"log": ["inside"]}
    finally:
        await asyncio.to_thread(kept.log.close)


@pytest.mark.feature("RUN-08")
async def test_a_cancelled_run_goes_on_while_a_thread_of_it_still_works() -> None:
    began, done = asyncio.Event(), threading.Event()
    loop, runs = asyncio.get_running_loop(), []

    def slow(state: State) -> Any:
        runs.append(1)
        if len(runs) == 1:
            loop.call_soon_threadsafe(began.set)
            done.wait(60)
        return {"log": ["inside"]}

    inner = graph(slow).compile()
    outer = graph(lambda state: inner.invoke({})).compile(checkpointer=InMemorySaver())
    running = asyncio.create_task(outer.ainvoke({}, CONFIG))
    await began.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    try:
        assert await outer.ainvoke(None, CONFIG) == {"log": ["inside"]}
    finally:
        done.set()
    assert len(runs) == 2


@pytest.mark.feature("RUN-08")
async def test_a_task_whose_time_is_over_is_tried_again_while_its_graph_still_ends() -> None:
    tries, again = [], asyncio.Event()

    async def slow(state: State) -> Any:
        tries.append(1)
        if len(tries) == 1:
            try:
                await asyncio.Event().wait()
            finally:
                await again.wait()
        again.set()
        return {"log": ["inside"]}

    inner = graph(slow).compile()

    async def outer(state: State) -> Any:
        return await inner.ainvoke({})

    policies = {
        "timeout": TimeoutPolicy(run_timeout=0.01),
        "retry_policy": RetryPolicy(initial_interval=0, jitter=False, max_attempts=20),
    }
    whole = graph(outer, **policies).compile(checkpointer=InMemorySaver())
    assert await whole.ainvoke({}, CONFIG) == {"log": ["inside"]}


@pytest.mark.feature("RUN-08")
def test_calls_may_be_cancelled_by_their_caller() -> None:
    @task
    def work(number: int) -> int:
        return number

    @entrypoint(checkpointer=InMemorySaver())
    def flow(given: int) -> str:
        for number in range(given):
            work(number).cancel()
        return "done"

    assert flow.invoke(100, CONFIG) == "done"


@pytest.mark.feature("RUN-08")
async def test_a_result_that_is_not_there_is_not_waited_for_on_the_loop() -> None:
    @task
    async def work() -> int:
        return 1

    @entrypoint()
    async def flow(given: int) -> int:
        future = work()
        with pytest.raises(asyncio.InvalidStateError, match="Result is not set"):
            future.result()
        return await future

    assert await flow.ainvoke(1) == 1


@pytest.mark.feature("RUN-07")
def test_what_calls_come_to_is_shown_also_when_nobody_waits_for_them() -> None:
    @task
    def work(number: int) -> int:
        return number

    @entrypoint()
    def flow(given: int) -> str:
        for number in range(given):
            work(number)
        return "done"

    shown = list(flow.stream(3, stream_mode="updates"))
    assert sorted(part["work"] for part in shown if "work" in part) == [0, 1, 2]
    assert {"flow": "done"} in shown


@pytest.mark.feature("RUN-08")
def test_calls_end_before_a_graph_that_hands_over_to_its_parent() -> None:
    done: list[str] = []

    @task
    def slow() -> None:
        sum(range(2_000_000))
        done.append("slow")

    def over(state: State) -> Any:
        slow()
        return Command(graph=Command.PARENT, goto="after")

    builder = graph(graph(over).compile())
    builder.add_node("after", lambda state: {"log": [*done]})
    assert builder.compile().invoke({}) == {"log": ["slow"]}


def test_a_graph_whose_node_calls_the_graph_itself_has_a_shape():
    class Count(TypedDict):
        n: int

    def down(state: Count):
        return {"n": graph.invoke({"n": state["n"] - 1})["n"] + 1 if state["n"] else 0}

    builder = StateGraph(Count)
    builder.add_node("down", down)
    builder.add_edge(START, "down")
    graph = builder.compile()
    assert len(graph.plan.print) == 16
    assert graph.invoke({"n": 3}) == {"n": 3}
