"""Cached nodes: the same input is not worked on again, in this run or another, until the cache is cleared."""

from typing import Any

import pytest

from dashflow.cache.memory import InMemoryCache
from dashflow.checkpoint.memory import InMemorySaver
from dashflow.func import entrypoint, task
from dashflow.graph import START, StateGraph
from dashflow.types import CachePolicy, Send

pytestmark = pytest.mark.feature("RUN-05")


class Cache:
    """What a ``BaseCache`` does, with what it was asked for."""

    def __init__(self) -> None:
        self.held: dict[Any, Any] = {}
        self.lives: dict[Any, Any] = {}
        self.asked: list[list[Any]] = []

    def get(self, keys):
        self.asked.append(list(keys))
        return {key: self.held[key] for key in keys if key in self.held}

    def set(self, pairs):
        for key, (value, ttl) in pairs.items():
            self.held[key] = value
            self.lives[key] = ttl

    def clear(self, namespaces=None):
        wanted = {key for key in self.held if namespaces is None or key[0] in namespaces}
        for key in wanted:
            del self.held[key]

    async def aget(self, keys):
        return self.get(keys)

    async def aset(self, pairs):
        self.set(pairs)

    async def aclear(self, namespaces=None):
        self.clear(namespaces)


def counted(world):
    """A node that is cached, and a node behind it; and how often each has run."""
    ran = {"node": 0, "after": 0}

    def node(state):
        ran["node"] += 1
        return {"n": state["n"] + 1, "log": ["node"]}

    def after(state):
        ran["after"] += 1
        return {"log": [state["n"]]}

    builder = StateGraph(world.State)
    builder.add_node("node", world.node(node), cache_policy=CachePolicy(ttl=60))
    builder.add_node("after", world.node(after))
    return builder.add_edge(START, "node").add_edge("node", "after"), ran


def test_the_same_input_is_not_worked_on_again(world) -> None:
    cache = Cache()
    builder, ran = counted(world)
    graph = world.compile(builder, cache=cache)
    results = [world.run(graph, {"n": n}, world.config(str(i))) for i, n in enumerate((1, 1, 2))]
    assert [result["log"] for result in results] == [["node", 2], ["node", 2], ["node", 3]]
    assert ran == {"node": 2, "after": 3}
    assert set(cache.lives.values()) == {60}
    assert all(len(keys) == 1 for keys in cache.asked), "nobody asks for nodes without a policy"


def test_updates_from_the_cache_are_marked(world) -> None:
    builder, _ = counted(world)
    graph = world.compile(builder, cache=Cache())
    world.run(graph, {"n": 1}, world.config("a"))
    parts = world.parts(graph, {"n": 1}, world.config("b"), stream_mode="updates")
    assert parts == [
        {"node": {"n": 2, "log": ["node"]}, "__metadata__": {"cached": True}},
        {"after": {"log": [2]}},
    ]


def test_the_cache_is_cleared_by_node(world) -> None:
    cache = Cache()
    builder, ran = counted(world)
    graph = world.compile(builder, cache=cache)
    world.run(graph, {"n": 1}, world.config("a"))
    graph.clear_cache(["after"])
    world.run(graph, {"n": 1}, world.config("b"))
    assert ran["node"] == 1
    graph.clear_cache(["node"])
    world.run(graph, {"n": 1}, world.config("c"))
    assert ran["node"] == 2
    graph.clear_cache()
    assert not cache.held


async def test_the_cache_is_cleared_from_asyncio_too() -> None:
    cache = Cache()
    builder = StateGraph(dict).add_node("node", lambda state: {"n": 1}, cache_policy=CachePolicy())
    graph = builder.add_edge(START, "node").compile(cache=cache)
    await graph.ainvoke({})
    assert cache.held
    await graph.aclear_cache()
    assert not cache.held


async def test_a_graph_without_a_cache_has_none_to_clear() -> None:
    builder = StateGraph(dict).add_node("node", lambda state: {"n": 1}, cache_policy=CachePolicy())
    graph = builder.add_edge(START, "node").compile()
    assert graph.invoke({}) == {"n": 1}
    with pytest.raises(ValueError, match="No cache is set"):
        graph.clear_cache()
    with pytest.raises(ValueError, match="No cache is set"):
        await graph.aclear_cache()


def test_packets_are_cached_one_by_one_by_a_key_of_ones_own(world) -> None:
    cache, ran = Cache(), []

    def work(state):
        ran.append(state["n"])
        return {"log": [state["n"] % 3]}

    builder = StateGraph(world.State)
    policy = CachePolicy(key_func=lambda state: str(state["n"] % 3))
    builder.add_node("work", world.node(work), cache_policy=policy)
    builder.add_conditional_edges(START, lambda s: [Send("work", {"n": n}) for n in range(s["n"])], ["work"])
    graph = world.compile(builder, cache=cache)
    assert world.run(graph, {"n": 2}, world.config("a"))["log"] == [0, 1]
    assert world.run(graph, {"n": 5}, world.config("b"))["log"] == [0, 1, 2, 0, 1]
    assert sorted(ran) == [0, 1, 2]


def test_nothing_is_kept_of_what_failed(world) -> None:
    cache, ran = Cache(), []

    def node(state):
        ran.append(1)
        raise KeyError("no")

    builder = StateGraph(world.State).add_node("node", world.node(node), cache_policy=CachePolicy())
    builder.add_node("beside", world.node(lambda state: {"n": 2})).add_edge(START, "beside")
    graph = world.compile(builder.add_edge(START, "node"), cache=cache)
    for thread in "ab":
        with pytest.raises(KeyError):
            world.run(graph, {"n": 1}, world.config(thread))
    assert len(ran) == 2
    assert not cache.held


def test_a_default_policy_is_for_nodes_but_not_for_error_handlers(world) -> None:
    cache, ran = Cache(), []

    def node(state):
        ran.append("node")
        raise KeyError("no")

    def handler(state):
        ran.append("handler")
        return {"log": ["handled"]}

    builder = StateGraph(world.State).set_node_defaults(cache_policy=CachePolicy(), error_handler=handler)
    builder.add_node("node", world.node(node)).add_node("after", world.node(lambda s: {"log": ["after"]}))
    builder.add_edge(START, "node").add_edge(START, "after")
    graph = world.compile(builder, cache=cache)
    for thread in "ab":
        assert sorted(world.run(graph, {"n": 1}, world.config(thread))["log"]) == ["after", "handled"]
    assert ran == ["node", "handler"] * 2
    assert {namespace[-1] for namespace, _ in cache.held} == {"after"}


def test_a_graph_inside_uses_the_cache_of_the_graph_around(world) -> None:
    builder, ran = counted(world)
    outer = StateGraph(world.State).add_node("inner", builder.compile()).add_edge(START, "inner")
    graph = world.compile(outer, cache=Cache())
    for thread in "ab":
        assert world.run(graph, {"n": 1}, world.config(thread))["log"] == ["node", 2]
    assert ran == {"node": 1, "after": 2}


def test_what_the_cache_had_stays_when_another_node_fails(recorded) -> None:
    world, cache, broken = recorded, Cache(), []

    def fails(state):
        if broken:
            raise KeyError("no")
        return {"n": 9}

    builder = StateGraph(world.State)
    builder.add_node("node", world.node(lambda state: {"log": ["node"]}), cache_policy=CachePolicy())
    builder.add_node("fails", world.node(fails)).add_edge(START, "fails").add_edge(START, "node")
    graph = world.compile(builder, cache=cache)
    world.run(graph, {"n": 1}, world.config("a"))
    broken.append(True)
    with pytest.raises(KeyError):
        world.run(graph, {"n": 1}, world.config("b"))
    state = world.state(graph, world.config("b"))
    assert (state.values["log"], state.next) == (["node"], ("fails",))
    cache.held.clear()
    broken.clear()
    assert world.run(graph, None, world.config("b")) == {"n": 9, "log": ["node"]}


def test_called_functions_are_cached_by_their_arguments() -> None:
    ran = []

    @task(cache_policy=CachePolicy())
    def square(number, *, power=2):
        ran.append(number)
        return number**power

    @entrypoint(cache=InMemoryCache(), checkpointer=InMemorySaver())
    def flow(numbers):
        return [called.result() for called in [square(number) for number in numbers]]

    def run(thread, numbers):
        config = {"configurable": {"thread_id": thread}}
        return list(flow.stream(numbers, config, stream_mode="updates"))

    assert run("a", [2])[-1] == {"flow": [4]}
    assert run("b", [2]) == [{"square": 4, "__metadata__": {"cached": True}}, {"flow": [4]}]
    assert run("c", [3])[-1] == {"flow": [9]}
    assert ran == [2, 3]
    square.clear_cache(flow.cache)
    assert run("d", [2])[-1] == {"flow": [4]}
    assert ran == [2, 3, 2]
