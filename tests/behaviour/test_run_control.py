"""Stopping a run: drained between two steps, closed or cancelled within one. The thread can always go on."""

import asyncio
import operator
import threading
from typing import Annotated, Any, TypedDict

import pytest

from dashflow.checkpoint.memory import InMemorySaver
from dashflow.config import get_stream_writer
from dashflow.errors import GraphDrained
from dashflow.func import entrypoint, task
from dashflow.graph import START, StateGraph
from dashflow.runtime import RunControl, Runtime
from dashflow.types import interrupt

pytestmark = pytest.mark.feature("RUN-08")

CONFIG = {"configurable": {"thread_id": "t"}}


class State(TypedDict, total=False):
    log: Annotated[list[Any], operator.add]


# -- drain -----------------------------------------------------------------------------------------


def draining(world, control, reason="shutdown"):
    """Three nodes, of which the first asks for a drain."""

    def first(state):
        control.request_drain(reason)
        return {"log": ["first"]}

    return world.graph([first, world.says("second"), world.says("third")])


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_a_drained_run_ends_its_step_and_goes_on_where_it_stopped(recorded, durability) -> None:
    world, control = recorded, RunControl()
    builder = draining(world, control, "sigterm")
    with pytest.raises(GraphDrained, match="sigterm") as raised:
        world.run(world.compile(builder), {"n": 1}, control=control, durability=durability)
    assert raised.value.reason == "sigterm"
    world.reopen()
    graph = world.compile(builder)
    state = world.state(graph)
    assert (state.values["log"], state.next) == (["first"], ("second",))
    assert world.run(graph, None)["log"] == ["first", "second", "third"]


def test_a_run_without_a_saver_is_drained_too(world) -> None:
    control = RunControl()
    with pytest.raises(GraphDrained):
        world.run(world.compile(draining(world, control)), {"n": 1}, control=control)


def test_a_drain_asked_for_in_the_last_step_or_never_changes_nothing(world) -> None:
    control = RunControl()

    def only(state):
        control.request_drain()
        return {"log": ["only"]}

    graph = world.compile(world.graph([only]))
    assert world.run(graph, {"n": 1}, world.config("a"), control=control)["log"] == ["only"]
    assert world.run(graph, {"n": 1}, world.config("b"), control=RunControl())["log"] == ["only"]


def test_a_drained_control_lets_no_step_begin(world) -> None:
    control = RunControl()
    control.request_drain("before")
    with pytest.raises(GraphDrained, match="before"):
        world.run(world.compile(world.graph([world.says("a")])), {"n": 1}, control=control)


def test_nodes_see_the_drain_and_may_ask_for_it(world) -> None:
    seen = []

    def first(state, runtime: Runtime):
        seen.append((runtime.drain_requested, runtime.drain_reason))
        runtime.control.request_drain("enough")
        seen.append((runtime.drain_requested, runtime.drain_reason))
        return {"log": ["first"]}

    with pytest.raises(GraphDrained, match="enough"):
        world.run(world.compile(world.graph([first, world.says("second")])), {"n": 1})
    assert seen == [(False, None), (True, "enough")]


def test_a_drain_reaches_graphs_inside_and_waits_for_tasks_beside_them(recorded) -> None:
    world, control, ran = recorded, RunControl(), []
    inner = draining(world, control).compile()

    def beside(state):
        ran.append("beside")
        return {"log": ["beside"]}

    builder = StateGraph(world.State).add_node("inner", inner).add_node("beside", world.node(beside))
    builder.add_node(*world.says("after")).add_edge(["inner", "beside"], "after")
    graph = world.compile(builder.add_edge(START, "inner").add_edge(START, "beside"))
    with pytest.raises(GraphDrained):
        world.run(graph, {"n": 1}, control=control)
    result = world.run(graph, None, control=RunControl())
    assert result["log"][-1] == "after"
    assert ran == ["beside"]


def test_a_drain_from_another_thread_stops_a_run() -> None:
    control, started, go = RunControl(), threading.Event(), threading.Event()

    def first(state):
        started.set()
        assert go.wait(30)
        return {"log": ["first"]}

    builder = StateGraph(State).add_node("first", first).add_node("second", lambda state: {"log": ["second"]})
    graph = builder.add_edge(START, "first").add_edge("first", "second").compile(checkpointer=InMemorySaver())

    def ask():
        assert started.wait(30)
        control.request_drain("from outside")
        go.set()

    asking = threading.Thread(target=ask)
    asking.start()
    with pytest.raises(GraphDrained, match="from outside"):
        graph.invoke({"log": []}, CONFIG, control=control)
    asking.join()
    assert graph.invoke(None, CONFIG) == {"log": ["first", "second"]}


def test_a_breakpoint_before_the_next_step_comes_before_the_drain(recorded) -> None:
    world, control = recorded, RunControl()
    graph = world.compile(draining(world, control), interrupt_before=["second"])
    assert world.run(graph, {"n": 1}, control=control)["log"] == ["first"]
    assert world.run(graph, None, control=RunControl())["log"] == ["first", "second", "third"]


# -- closing and cancelling --------------------------------------------------------------------------


class Waits:
    """An async node that waits until it is cancelled, the first time."""

    def __init__(self, name: str) -> None:
        self.__name__ = name
        self.started = asyncio.Event()
        self.cancelled = 0

    async def __call__(self, state):
        if not self.started.is_set():
            self.started.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        return {"log": [self.__name__]}


def beside(waits):
    async def quick(state):
        await waits.started.wait()
        return {"log": ["quick"]}

    builder = StateGraph(State).add_node("waits", waits).add_node("quick", quick)
    builder.add_node("after", lambda state: {"log": ["after"]}).add_edge(["waits", "quick"], "after")
    return builder.add_edge(START, "waits").add_edge(START, "quick")


async def test_closing_a_stream_cancels_the_tasks_of_the_step_and_keeps_what_is_done() -> None:
    waits = Waits("waits")
    graph = beside(waits).compile(checkpointer=InMemorySaver())
    stream = graph.astream({"log": []}, CONFIG, stream_mode="updates")
    assert await anext(stream) == {"quick": {"log": ["quick"]}}
    await stream.aclose()
    assert waits.cancelled == 1
    state = await graph.aget_state(CONFIG)
    assert state.next == ("waits",)
    assert [(task.name, task.result, task.error) for task in state.tasks] == [
        ("waits", None, "CancelledError()"),
        ("quick", {"log": ["quick"]}, None),
    ]
    assert sorted((await graph.ainvoke(None, CONFIG))["log"]) == ["after", "quick", "waits"]
    assert waits.cancelled == 1


@pytest.mark.parametrize("nested", [False, True])
async def test_a_cancelled_run_cancels_what_it_waits_for(nested) -> None:
    waits = Waits("waits")
    builder = StateGraph(State).add_node("waits", waits).add_edge(START, "waits")
    if nested:
        inner = builder.compile()
        builder = StateGraph(State).add_node("inner", inner).add_edge(START, "inner")
    graph = builder.compile(checkpointer=InMemorySaver())
    running = asyncio.ensure_future(graph.ainvoke({"log": []}, CONFIG))
    await waits.started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert waits.cancelled == 1
    assert await graph.ainvoke(None, CONFIG) == {"log": ["waits"]}


async def test_a_run_around_that_takes_too_long_is_stopped_by_its_caller() -> None:
    waits = Waits("waits")
    graph = beside(waits).compile(checkpointer=InMemorySaver())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(graph.ainvoke({"log": []}, CONFIG), 0.05)
    assert waits.cancelled == 1
    result = await graph.ainvoke(None, CONFIG)
    assert sorted(result["log"]) == ["after", "quick", "waits"]


async def test_the_result_of_a_sync_node_that_nobody_waits_for_any_more_is_refused() -> None:
    loop, started, go, ended = asyncio.get_running_loop(), asyncio.Event(), threading.Event(), asyncio.Event()
    ran = []

    def slow(state, runtime: Runtime):
        ran.append(len(ran))
        if len(ran) == 1:
            loop.call_soon_threadsafe(started.set)
            assert go.wait(30)
            runtime.stream_writer("late")
            loop.call_soon_threadsafe(ended.set)
        return {"log": [f"run {len(ran)}"]}

    builder = StateGraph(State).add_node("slow", slow).add_edge(START, "slow")
    graph = builder.compile(checkpointer=InMemorySaver())
    running = asyncio.ensure_future(graph.ainvoke({"log": []}, CONFIG))
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    before = await graph.aget_state(CONFIG)
    go.set()
    await ended.wait()
    assert await graph.aget_state(CONFIG) == before
    assert await graph.ainvoke(None, CONFIG) == {"log": ["run 2"]}


async def test_a_graph_in_the_thread_of_a_cancelled_node_stops_at_its_next_step() -> None:
    loop, started, go = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    ended: asyncio.Future[Any] = loop.create_future()
    ran = []

    def first(state):
        ran.append("first")
        loop.call_soon_threadsafe(started.set)
        assert go.wait(30)
        return {"log": ["first"]}

    def second(state):
        ran.append("second")
        return {"log": ["second"]}

    inner = StateGraph(State).add_node("first", first).add_node("second", second)
    compiled = inner.add_edge(START, "first").add_edge("first", "second").compile()

    def node(state):
        try:
            return compiled.invoke(state)
        except Exception as error:
            loop.call_soon_threadsafe(ended.set_result, error)
            raise

    builder = StateGraph(State).add_node("node", node).add_edge(START, "node")
    running = asyncio.ensure_future(builder.compile().ainvoke({"log": []}))
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    go.set()
    assert isinstance(await ended, GraphDrained)
    assert ran == ["first"]


def test_closing_a_sync_stream_keeps_what_ends_and_starts_nothing_more() -> None:
    go, ran = threading.Event(), []

    def slow(state):
        assert go.wait(30)
        ran.append("slow")
        return {"log": ["slow"]}

    def quick(state):
        ran.append("quick")
        return {"log": ["quick"]}

    builder = StateGraph(State).add_node("slow", slow).add_node("quick", quick)
    builder.add_node("after", lambda state: {"log": ["after"]}).add_edge(["slow", "quick"], "after")
    builder.add_edge(START, "slow").add_edge(START, "quick")
    graph = builder.compile(checkpointer=InMemorySaver())
    stream = graph.stream({"log": []}, CONFIG, stream_mode=["updates", "custom"])
    assert next(stream) == ("updates", {"quick": {"log": ["quick"]}})
    threading.Timer(0.05, go.set).start()
    stream.close()
    assert ran == ["quick", "slow"]
    assert sorted(graph.invoke(None, CONFIG)["log"]) == ["after", "quick", "slow"]
    assert ran == ["quick", "slow"]


def test_a_question_does_not_stop_the_tasks_beside_it(recorded) -> None:
    world, ran = recorded, []

    def asks(state):
        return {"log": [interrupt("what")]}

    def other(state):
        ran.append("other")
        return {"log": ["other"]}

    builder = StateGraph(world.State).add_node("asks", world.node(asks)).add_node("other", world.node(other))
    graph = world.compile(builder.add_edge(START, "asks").add_edge(START, "other"))
    world.run(graph, {"n": 1})
    world.run(graph, None)
    assert ran == ["other"]


# -- functions that a node calls ------------------------------------------------------------------


def workflow(child, parent):
    @entrypoint(checkpointer=InMemorySaver())
    async def flow(given):
        return await parent(task(child))

    return flow


async def test_a_cancelled_run_cancels_the_functions_that_it_called() -> None:
    waits = Waits("waits")

    async def child():
        await waits({})
        return "child"

    async def parent(called):
        return await called()

    flow = workflow(child, parent)
    running = asyncio.ensure_future(flow.ainvoke(1, CONFIG))
    await waits.started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert waits.cancelled == 1
    assert await flow.ainvoke(None, CONFIG) == "child"


async def test_closing_a_stream_cancels_functions_that_nobody_waits_for() -> None:
    waits, go = Waits("waits"), asyncio.Event()

    async def child():
        await waits({})

    async def parent(called):
        called()
        get_stream_writer()("started")
        await waits.started.wait()
        await go.wait()

    stream = workflow(child, parent).astream(1, CONFIG, stream_mode="custom")
    assert await anext(stream) == "started"
    await waits.started.wait()
    await stream.aclose()
    assert waits.cancelled == 1


async def test_a_called_function_can_be_cancelled_and_is_no_result_then() -> None:
    waits, tried = Waits("waits"), []

    async def child():
        await waits({})
        return "child"

    async def parent(called):
        tried.append(1)
        future = called()
        await waits.started.wait()
        if len(tried) == 1:
            future.cancel()
            raise KeyError("no")
        return await future

    flow = workflow(child, parent)
    with pytest.raises(KeyError):
        await flow.ainvoke(1, CONFIG)
    assert waits.cancelled == 1
    assert await flow.ainvoke(None, CONFIG) == "child"


async def test_a_function_called_with_a_limit_by_its_caller_is_stopped_by_it() -> None:
    waits = Waits("waits")

    async def child():
        await waits({})

    async def parent(called):
        try:
            await asyncio.wait_for(called(), 0.01)
        except TimeoutError:
            return "too slow"

    assert await workflow(child, parent).ainvoke(1, CONFIG) == "too slow"
    assert waits.cancelled == 1
