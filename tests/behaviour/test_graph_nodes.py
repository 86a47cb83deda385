"""What nodes get and how they are called: config, runtime, context, store, writer; threads, retries."""

import asyncio
import contextvars
import threading
from dataclasses import dataclass
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig, RunnableLambda

from dashflow.config import get_config, get_store, get_stream_writer
from dashflow.errors import NodeCancelledError
from dashflow.graph import END, START
from dashflow.runtime import Runtime, get_runtime
from dashflow.types import RetryPolicy, Send, interrupt


@dataclass
class Context:
    who: str = "nobody"


def test_what_a_node_is_lent(world) -> None:
    seen: dict[str, Any] = {}
    store = object()

    def named(
        state: Any, config: RunnableConfig, runtime: Runtime[Context], *, store: Any, writer: Any
    ) -> None:
        seen["named"] = (config["configurable"]["user"], runtime.context.who, store, runtime.store)
        seen["facts"] = (runtime.execution_info.node_attempt, config["metadata"]["langgraph_node"])
        writer("from the writer")
        runtime.stream_writer("from the runtime")

    def asks(state: Any) -> None:
        seen["asked"] = (get_config()["configurable"]["user"], get_runtime().context.who, get_store())
        get_stream_writer()("from the context")

    builder = world.graph([named, asks], context_schema=Context)
    graph = world.compile(builder, store=store)
    config = {"configurable": {"thread_id": "t", "user": "u"}, "metadata": {"mine": 1}, "tags": ["x"]}
    parts = world.parts(graph, {"n": 1}, config, context={"who": "me"}, stream_mode="custom")
    assert parts == ["from the writer", "from the runtime", "from the context"]
    assert seen["named"] == ("u", "me", store, store)
    assert seen["facts"] == (1, "named")
    assert seen["asked"] == ("u", "me", store)


def test_what_holds_for_a_node_holds_for_graphs_it_calls(world) -> None:
    seen = []

    def inner(state: Any, config: RunnableConfig, runtime: Any) -> None:
        seen.append(
            (config["configurable"]["user"], config["metadata"]["mine"], config["tags"], runtime.context)
        )

    inside = world.graph([inner]).compile()

    def calls(state: Any) -> None:
        inside.invoke({"n": 1})

    async def calls_awaited(state: Any) -> None:
        await inside.ainvoke({"n": 1})

    node = calls_awaited if world.kind == "asyncio" else calls
    graph = world.compile(world.graph([("inside", inside), ("calls", node)]))
    config = {"configurable": {"thread_id": "t", "user": "u"}, "metadata": {"mine": 1}, "tags": ["x"]}
    world.run(graph, {"n": 1}, config, context={"c": 1})
    assert seen == [("u", 1, ["x"], {"c": 1})] * 2


def test_a_context_that_does_not_fit_its_schema(world) -> None:
    graph = world.compile(world.graph([world.says("a")], context_schema=Context))
    with pytest.raises(TypeError, match="unexpected keyword argument 'other'"):
        world.run(graph, {"n": 1}, context={"other": 1})


@pytest.mark.parametrize(
    "ask", [get_config, get_store, get_stream_writer, get_runtime, lambda: interrupt("?")]
)
def test_outside_of_a_graph_there_is_nothing_to_ask(ask) -> None:
    with pytest.raises(RuntimeError, match="outside of a runnable context"):
        ask()


def test_callables_of_all_kinds_are_nodes(world) -> None:
    class Callable_:
        def __call__(self, state: Any) -> Any:
            return {"log": ["object"]}

        def method(self, state: Any) -> Any:
            return {"log": ["method"]}

    builder = world.graph(
        [
            ("runnable", RunnableLambda(lambda s: {"log": ["runnable"]})),
            ("object", Callable_()),
            ("method", Callable_().method),
        ]
    )
    assert world.run(world.compile(builder), {"n": 1})["log"] == ["runnable", "object", "method"]


@pytest.mark.parametrize("what", [5, {"a": 1}, None])
def test_what_is_no_node(world, what) -> None:
    with pytest.raises(
        (TypeError, RuntimeError),
        match=r"Expected a (function or Runnable action|Runnable, callable or dict)",
    ):
        world.graph([]).add_node("x", what)


def test_sync_nodes_run_beside_each_other_under_asyncio_and_see_the_callers_context(world) -> None:
    if world.kind == "simulated":
        return
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    meet = threading.Barrier(2, timeout=30)

    def node(state: Any) -> Any:
        meet.wait()
        return {"log": [variable.get()]}

    builder = world.graph([], [(START, "a"), (START, "b")])
    builder.add_node("a", node).add_node("b", node)
    graph = world.compile(builder)

    def run() -> Any:
        variable.set("mine")
        if world.kind == "sync":
            return graph.invoke({"n": 1}, world.config())
        with asyncio.Runner() as runner:
            return runner.run(graph.ainvoke({"n": 1}, world.config()))

    assert contextvars.copy_context().run(run)["log"] == ["mine", "mine"]


def test_no_more_than_max_concurrency_run_at_a_time(world) -> None:
    running, most = 0, 0
    lock = threading.Lock()
    meet = threading.Barrier(2, timeout=30)

    def work(state: Any) -> Any:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        if world.kind != "simulated":
            meet.wait()  # two at a time there are
        with lock:
            running -= 1
        return {"log": [state["i"]]}

    builder = world.graph([], [])
    builder.add_node("work", work)
    builder.add_conditional_edges(START, lambda s: [Send("work", {"i": i}) for i in range(6)])
    result = world.run(world.compile(builder), {"n": 1}, world.config(max_concurrency=2))
    assert (sorted(result["log"]), most) == (list(range(6)), 1 if world.kind == "simulated" else 2)


def test_async_nodes_need_the_async_methods() -> None:
    from dashflow.graph import StateGraph

    async def node(state: Any) -> Any:
        return {}

    async def route(state: Any) -> str:
        return END

    builder = StateGraph(dict).add_node("node", node).add_edge(START, "node")
    with pytest.raises(TypeError, match='No synchronous function provided to "node"'):
        builder.compile().invoke({})
    builder = (
        StateGraph(dict).add_node("a", lambda s: {}).add_edge(START, "a").add_conditional_edges("a", route)
    )
    with pytest.raises(TypeError, match='No synchronous function provided to "route"'):
        builder.compile().invoke({})


@pytest.mark.parametrize(
    ("policy", "error", "attempts"),
    [
        (RetryPolicy(max_attempts=3, initial_interval=0.001, jitter=False), ConnectionError, 3),
        (RetryPolicy(max_attempts=3, initial_interval=0.001, jitter=False), ValueError, 1),
        (RetryPolicy(max_attempts=2, initial_interval=0.001, retry_on=KeyError, jitter=False), KeyError, 2),
        (
            RetryPolicy(
                max_attempts=4, initial_interval=0.001, retry_on=(KeyError, ValueError), jitter=False
            ),
            ValueError,
            4,
        ),
        (
            RetryPolicy(max_attempts=2, initial_interval=0.001, retry_on=lambda e: True, jitter=False),
            OSError,
            2,
        ),
    ],
    ids=["default yes", "default no", "class", "classes", "function"],
)  # fmt: skip
def test_retries(world, policy, error, attempts) -> None:
    seen = []

    def node(state: Any, runtime: Any) -> Any:
        seen.append(runtime.execution_info.node_attempt)
        raise error("again")

    builder = world.graph([], [(START, "node")])
    builder.add_node("node", world.node(node), retry_policy=policy)
    with pytest.raises(error, match="again"):
        world.run(world.compile(builder), {"n": 1})
    assert seen == list(range(1, attempts + 1))


def test_a_later_attempt_may_succeed(world) -> None:
    seen = []

    def node(state: Any) -> Any:
        seen.append(1)
        if len(seen) < 3:
            raise ConnectionError("again")
        return {"log": [len(seen)]}

    builder = world.graph([], [(START, "node")])
    builder.add_node("node", world.node(node), retry_policy=RetryPolicy(initial_interval=0.001, jitter=False))
    assert world.run(world.compile(builder), {"n": 1})["log"] == [3]


def test_cancelling_ainvoke_cancels_its_nodes_and_the_thread_can_go_on(recorded) -> None:
    if recorded.kind != "asyncio":
        return
    ended = []

    async def slow(state: Any) -> Any:
        started.set()
        try:
            await forever.wait()
        finally:
            ended.append("cancelled" if not forever.is_set() else "done")
        return {"log": ["slow"]}

    builder = recorded.graph([recorded.says("a")])
    builder.add_node("slow", slow).add_edge("a", "slow")
    graph = recorded.compile(builder)

    async def scenario() -> Any:
        global_started.append(1)
        task = asyncio.ensure_future(graph.ainvoke({"n": 1}, recorded.config()))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        state = await graph.aget_state(recorded.config())
        forever.set()
        return state.next, await graph.ainvoke(None, recorded.config())

    global_started: list[int] = []
    started, forever = asyncio.Event(), asyncio.Event()
    following, result = recorded._runner.run(scenario())
    assert (following, result["log"], ended) == (("slow",), ["a", "slow"], ["cancelled", "done"])


def test_a_node_that_cancels_itself_fails_like_any_other(world) -> None:
    def node(state: Any) -> Any:
        raise asyncio.CancelledError("by itself")

    graph = world.compile(world.graph([("node", node)]))
    with pytest.raises(NodeCancelledError, match="Node 'node' raised"):
        world.run(graph, {"n": 1})
    if world.saver is not None:
        assert "NodeCancelledError" in world.state(graph).tasks[0].error
