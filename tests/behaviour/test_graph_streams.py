"""What a caller sees while a graph runs: values, updates, custom parts, and those of graphs inside."""

import operator
import threading
from typing import Annotated, Any, TypedDict

import pytest

from dashflow.channels import AnyValue, EphemeralValue, Topic, UntrackedValue
from dashflow.config import get_stream_writer
from dashflow.graph import START
from dashflow.types import Command, Send, interrupt


def chain(world, **options):
    return world.compile(world.graph([world.says("a"), world.says("b")]), **options)


def test_values_are_the_state_after_each_step_that_changed_it(world) -> None:
    graph = world.compile(world.graph([world.says("a"), ("quiet", lambda s: None), world.says("b")]))
    assert world.parts(graph, {"n": 1}, stream_mode="values") == [
        {"n": 1, "log": []},
        {"n": 1, "log": ["a"]},
        {"n": 1, "log": ["a", "b"]},
    ]


def test_updates_are_what_each_node_wrote(world) -> None:
    nodes = [
        world.says("a", n=2),
        ("quiet", lambda s: None),
        ("command", lambda s: Command(update=[("log", ["p"]), ("log", ["q"])])),
        ("private", lambda s: {"unknown": 1}),
    ]
    assert world.parts(world.compile(world.graph(nodes)), {"n": 1}) == [
        {"a": {"log": ["a"], "n": 2}},
        {"quiet": None},
        {"command": [{"log": ["p"]}, {"log": ["q"]}]},
        {"private": None},
    ]


def test_a_list_of_modes_yields_pairs_in_the_order_of_events(world) -> None:
    def talks(state: Any) -> Any:
        get_stream_writer()("one")
        get_stream_writer()({"two": 2})
        return {"log": ["talks"]}

    graph = world.compile(world.graph([talks, world.says("b")]))
    assert world.parts(graph, {"n": 1}, stream_mode=["custom", "values", "updates"]) == [
        ("values", {"n": 1, "log": []}),
        ("custom", "one"),
        ("custom", {"two": 2}),
        ("updates", {"talks": {"log": ["talks"]}}),
        ("values", {"n": 1, "log": ["talks"]}),
        ("updates", {"b": {"log": ["b"]}}),
        ("values", {"n": 1, "log": ["talks", "b"]}),
    ]
    assert world.parts(graph, {"n": 1}, world.config("2"), stream_mode="custom") == ["one", {"two": 2}]
    assert world.run(graph, {"n": 1}, world.config("3"), stream_mode="custom") == ["one", {"two": 2}]


def test_what_was_written_before_an_error_is_seen(world) -> None:
    def fails(state: Any) -> Any:
        get_stream_writer()("still here")
        raise ValueError("boom")

    graph = world.compile(world.graph([world.says("a"), fails]))
    seen = []
    with pytest.raises(ValueError, match="boom"):
        collect(world, graph, seen, stream_mode=["custom", "updates"])
    assert seen == [("updates", {"a": {"log": ["a"]}}), ("custom", "still here")]


def collect(world, graph, seen, **options):
    """The parts up to an error."""
    if world.kind != "asyncio":
        for part in graph.stream({"n": 1}, world.config(), **options):
            seen.append(part)
        return

    async def follow():
        async for part in graph.astream({"n": 1}, world.config(), **options):
            seen.append(part)

    world._runner.run(follow())


def test_questions_are_shown(recorded) -> None:
    graph = recorded.compile(recorded.graph([recorded.says("a"), ("q", lambda s: {"log": [interrupt("?")]})]))
    *_, updates, values = recorded.parts(graph, {"n": 1}, stream_mode=["values", "updates"])
    ((mode, update), (other, value)) = (updates, values)
    assert (mode, [q.value for q in update["__interrupt__"]]) == ("updates", ["?"])
    assert (other, value["log"], [q.value for q in value["__interrupt__"]]) == ("values", ["a"], ["?"])
    assert recorded.parts(graph, Command(resume="x"), stream_mode=["values", "updates"]) == [
        ("values", {"n": 1, "log": ["a"]}),
        ("updates", {"q": {"log": ["x"]}}),
        ("values", {"n": 1, "log": ["a", "x"]}),
    ]


def test_a_result_of_an_earlier_run_is_marked_as_such(recorded) -> None:
    nodes = [("q", lambda s: {"log": [interrupt("?")]}), recorded.says("k")]
    graph = recorded.compile(recorded.graph(nodes, [(START, "q"), (START, "k")]))
    recorded.run(graph, {"n": 1})
    assert recorded.parts(graph, Command(resume="x")) == [
        {"k": {"log": ["k"]}, "__metadata__": {"cached": True}},
        {"q": {"log": ["x"]}},
    ]


def test_breakpoints_are_shown(recorded) -> None:
    graph = chain(recorded, interrupt_before=["b"])
    assert recorded.parts(graph, {"n": 1}) == [{"a": {"log": ["a"]}}, {"__interrupt__": ()}]


def test_chosen_keys(world) -> None:
    graph = chain(world)
    parts = world.parts(graph, {"n": 1}, output_keys=["n"], stream_mode=["values", "updates"])
    assert parts == [("values", {"n": 1}), ("updates", {"a": None}), ("updates", {"b": None})]
    single = world.parts(graph, {"n": 1}, world.config("2"), output_keys="log", stream_mode="values")
    assert single == [["a"], ["a", "b"]]
    assert world.run(graph, {"n": 1}, world.config("3"), output_keys=["n"]) == {"n": 1}
    with pytest.raises(ValueError, match="Key nope not in channels"):
        world.run(graph, {"n": 1}, world.config("4"), output_keys=["nope"])


def test_an_unknown_mode_is_refused(world) -> None:
    with pytest.raises(ValueError, match="'wishes' is not known"):
        world.parts(chain(world), {"n": 1}, stream_mode=["values", "wishes"])


def test_a_graph_inside_is_seen_when_asked_for(world) -> None:
    def talks(state: Any) -> Any:
        get_stream_writer()("deep")
        return {"log": ["x"]}

    inner = world.graph([("x", talks)]).compile()
    middle = world.graph([world.says("m"), ("inner", inner)]).compile()
    graph = world.compile(world.graph([world.says("a"), ("middle", middle)]))
    parts = world.parts(graph, {"n": 1}, subgraphs=True, stream_mode=["updates", "custom"])
    shown = [(tuple(part.partition(":")[0] for part in ns), mode, data) for ns, mode, data in parts]
    assert shown == [
        ((), "updates", {"a": {"log": ["a"]}}),
        (("middle",), "updates", {"m": {"log": ["m"]}}),
        (("middle", "inner"), "custom", "deep"),
        (("middle", "inner"), "updates", {"x": {"log": ["x"]}}),
        (("middle",), "updates", {"inner": {"n": 1, "log": ["a", "m", "x"]}}),
        ((), "updates", {"middle": {"n": 1, "log": ["a", "m", "a", "m", "x"]}}),
    ]
    alone = world.parts(graph, {"n": 1}, world.config("2"))
    assert alone == [{"a": {"log": ["a"]}}, {"middle": {"n": 1, "log": ["a", "m", "a", "m", "x"]}}]


def test_graphs_inside_that_run_beside_each_other_are_seen(world) -> None:
    class Inner(TypedDict, total=False):
        i: int
        log: Annotated[list[Any], operator.add]

    inner = world.graph([("x", lambda s: {"log": [s["i"]]})], schema=Inner).compile()
    builder = world.graph([("inner", inner)], [])
    builder.add_conditional_edges(START, lambda s: [Send("inner", {"i": i}) for i in range(3)])
    parts = world.parts(world.compile(builder), {"n": 1}, subgraphs=True)
    inside = [data for namespace, data in parts if namespace]
    assert sorted(inside, key=str) == [{"x": {"log": [i]}} for i in range(3)]
    assert len({namespace for namespace, _ in parts if namespace}) == 3


def test_an_abandoned_stream_ends_the_run(recorded) -> None:
    ran = []
    nodes = [(name, lambda s, name=name: ran.append(name) or {"log": [name]}) for name in "abc"]
    graph = recorded.compile(recorded.graph(nodes))
    if recorded.kind == "asyncio":

        async def peek():
            parts = graph.astream({"n": 1}, recorded.config())
            first = await anext(parts)
            await parts.aclose()
            return first

        assert recorded._runner.run(peek()) == {"a": {"log": ["a"]}}
    else:
        parts = graph.stream({"n": 1}, recorded.config())
        assert next(parts) == {"a": {"log": ["a"]}}
        parts.close()
    assert ran == ["a"]
    assert recorded.state(graph).next == ("b",)
    assert recorded.run(graph, None)["log"] == ["a", "b", "c"]
    assert ran == ["a", "b", "c"]


def test_output_is_what_was_last_shown_when_keys_do_not_stay(world) -> None:
    class Fleeting(TypedDict, total=False):
        once: Annotated[int, EphemeralValue]
        secret: Annotated[int, UntrackedValue]
        agreed: Annotated[int, AnyValue]
        items: Annotated[list[str], Topic]

    nodes = [
        ("a", lambda s: {"once": 1, "secret": 2, "agreed": 3, "items": "x"}),
        ("b", lambda s: None),
        ("c", lambda s: None),
    ]
    graph = world.compile(world.graph(nodes, schema=Fleeting))
    assert world.run(graph, {"once": 0}) == {"once": 1, "secret": 2, "agreed": 3, "items": ["x"]}


def test_an_abandoned_stream_waits_for_the_work_of_its_step_and_keeps_it(recorded) -> None:
    began, closing = threading.Event(), threading.Event()
    ran, ended = [], []

    def talks(state: Any) -> Any:
        ran.append("talks")
        if recorded.kind != "simulated":
            assert began.wait(30)
        get_stream_writer()("now")
        return {"log": ["talks"]}

    def slow(state: Any) -> Any:
        ran.append("slow")
        began.set()
        if recorded.kind != "simulated":
            assert closing.wait(30)
        ended.append("slow")
        return {"log": ["slow"]}

    builder = recorded.graph([], [(START, "talks"), (START, "slow")])
    builder.add_node("talks", talks).add_node("slow", slow)
    graph = recorded.compile(builder)
    if recorded.kind == "asyncio":

        async def peek():
            parts = graph.astream({"n": 1}, recorded.config(), stream_mode="custom")
            assert await anext(parts) == "now"
            closing.set()
            await parts.aclose()

        recorded._runner.run(peek())
    else:
        parts = graph.stream({"n": 1}, recorded.config(), stream_mode="custom")
        assert next(parts) == "now"
        closing.set()
        parts.close()
        if recorded.kind == "sync":
            assert ended == ["slow"]
            assert recorded.state(graph).next in ((), ("talks",))
    assert recorded.run(graph, None)["log"] == ["slow", "talks"]
    assert sorted(set(ran)) == ["slow", "talks"]
    if recorded.kind == "sync":
        assert ran.count("slow") == 1
