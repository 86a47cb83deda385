"""Graphs of nodes and channels, without a state: what they read, write, show and refuse."""

import operator
from typing import Any

import pytest
from langchain_core.runnables import RunnableLambda

from dashflow.channels import BinaryOperatorAggregate, EphemeralValue, LastValue, Topic
from dashflow.errors import EmptyInputError, InvalidUpdateError
from dashflow.managed.is_last_step import RemainingStepsManager
from dashflow.pregel import NodeBuilder, Pregel
from dashflow.pregel.node import PregelNode
from dashflow.pregel.write import SKIP_WRITE, ChannelWrite, ChannelWriteEntry, ChannelWriteTupleEntry
from dashflow.types import CachePolicy, RetryPolicy, Send, TimeoutPolicy
from dashflow.warnings import LangGraphDeprecatedSinceV10

pytestmark = pytest.mark.feature("RUN-16")


def add_one(value: int) -> int:
    return value + 1


def app(
    world: Any, nodes: dict[str, Any], inputs: Any = "input", outputs: Any = "output", **more: Any
) -> Any:
    channels = {"input": LastValue(int), "output": LastValue(int), **more.pop("channels", {})}
    nodes = {name: node(world) if callable(node) else node for name, node in nodes.items()}
    graph = Pregel(
        nodes=nodes,
        channels=channels,
        input_channels=inputs,
        output_channels=outputs,
        checkpointer=world.saver,
        **more,
    )
    return graph.with_host(world._simulated) if world.kind == "simulated" else graph


def step(source: str, *targets: str, **values: Any) -> Any:
    return lambda world: (
        NodeBuilder().subscribe_only(source).do(world.node(add_one)).write_to(*targets, **values)
    )


def test_one_value_in_one_value_out(world) -> None:
    graph = app(world, {"one": step("input", "output")})
    assert world.run(graph, 2) == 3
    assert world.run(graph, 2, world.config("u"), output_keys=["output"]) == {"output": 3}
    assert world.parts(graph, 2, world.config("v"), stream_mode="updates") == [{"one": {"output": 3}}]


def test_several_channels_in_and_out(world) -> None:
    def total(values: dict[str, int]) -> int:
        return sum(values.values())

    graph = app(
        world,
        {
            "sum": lambda world: (
                NodeBuilder()
                .subscribe_to("input", "other")
                .subscribe_to("wake", read=False)
                .read_from("steps")
                .do(world.node(total))
                .write_to("output", fixed=5, double=lambda value: 2 * value)
            )
        },
        inputs=["input", "other", "wake"],
        outputs=["output", "fixed", "double"],
        channels={
            "other": LastValue(int),
            "wake": EphemeralValue(int),
            "steps": RemainingStepsManager,
            "fixed": LastValue(int),
            "double": LastValue(int),
        },
    )
    config = world.config(recursion_limit=10)
    result = world.run(graph, {"input": 1, "other": 2, "wake": 100, "unknown": 7}, config)
    assert result == {"output": 13, "fixed": 5, "double": 26}


def test_default_parts_are_values_of_all_channels_or_the_ones_named(world) -> None:
    nodes = {"one": step("input", "output", "between"), "two": step("between", "output")}
    channels = {"between": LastValue(int)}
    graph = app(world, nodes, channels=channels, stream_channels=["output", "between"])
    assert world.parts(graph, 2) == [{"output": 3, "between": 3}, {"output": 4, "between": 3}]
    whole = app(world, nodes, channels=channels)
    assert whole.stream_channels_list == ["input", "output", "between"]
    assert world.parts(whole, 2, world.config("u"))[-1] == {"input": 2, "output": 4, "between": 3}


def test_nodes_beside_each_other_need_a_channel_that_takes_both(world) -> None:
    nodes = {"one": step("input", "output"), "two": step("input", "output")}
    assert world.run(app(world, nodes, channels={"output": Topic(int)}), 2) == [3, 3]
    with pytest.raises(InvalidUpdateError, match="At key 'output'"):
        world.run(app(world, nodes), 2, world.config("u"))


def test_nothing_written_is_nothing_returned(world) -> None:
    nodes = {"one": step("input", "between"), "two": step("between")}
    assert world.run(app(world, nodes, channels={"between": LastValue(int)}), 2) is None


def test_entries_say_what_is_written() -> None:
    entries = [
        ChannelWriteEntry("a"),
        ChannelWriteEntry("b", 5),
        ChannelWriteEntry("c", None, skip_none=True),
        ChannelWriteEntry("d", mapper=lambda value: value * 2),
        ChannelWriteEntry("e", mapper=lambda value: SKIP_WRITE),
        ChannelWriteTupleEntry(lambda value: [("f", value), ("g", value)]),
        ChannelWriteTupleEntry(lambda value: None),
        Send("node", 1),
    ]
    assert ChannelWrite(entries).of(3) == [
        ("a", 3),
        ("b", 5),
        ("d", 6),
        ("f", 3),
        ("g", 3),
        ("__pregel_tasks", Send("node", 1)),
    ]
    with pytest.raises(InvalidUpdateError, match="reserved channel TASKS"):
        ChannelWrite([ChannelWriteEntry("__pregel_tasks")])


def test_a_step_after_a_step_and_writers_that_are_runnables(world) -> None:
    if world.kind == "asyncio":
        return  # what differs there is LangChain's
    write = ChannelWrite([ChannelWriteEntry("total")])
    chain = NodeBuilder().subscribe_only("input").do(add_one).do(RunnableLambda(add_one)).write_to("output")
    last = PregelNode(
        channels="output", triggers=["output"], writers=[write, RunnableLambda(add_one), write], tags=["t"]
    )
    graph = app(
        world,
        {"chain": chain, "last": last},
        outputs="total",
        channels={"total": BinaryOperatorAggregate(int, operator.add)},
    )
    assert world.run(graph, 1) == 3 + 4


def test_packets_go_to_nodes(world) -> None:
    send = ChannelWrite([Send("work", 10), Send("work", 20)])
    graph = app(
        world,
        {
            "start": PregelNode(channels="input", triggers=["input"], writers=[send]),
            "work": lambda world: (
                NodeBuilder().subscribe_only("none").do(world.node(add_one)).write_to("output")
            ),
        },
        channels={"output": Topic(int), "none": EphemeralValue(int)},
    )
    assert world.run(graph, 0) == [11, 21]


def test_policies_of_the_graph_are_for_nodes_without_their_own() -> None:
    retry, own, cache = RetryPolicy(max_attempts=5), RetryPolicy(), CachePolicy()
    builder = NodeBuilder().subscribe_only("input").do(add_one).write_to("output").meta("tag", key="value")
    graph = Pregel(
        nodes={
            "a": builder,
            "b": NodeBuilder().subscribe_only("input").add_retry_policies(own).add_cache_policy(cache),
        },
        channels={"input": LastValue(int), "output": LastValue(int)},
        input_channels="input",
        output_channels="output",
        retry_policy=retry,
    )
    a, b = graph.plan.nodes["a"], graph.plan.nodes["b"]
    assert (a.policies.retry, a.policies.cache, a.tags, a.metadata) == (
        (retry,),
        None,
        ("tag",),
        {"key": "value"},
    )
    assert (b.policies.retry, b.policies.cache) == ((own,), cache)
    assert graph.copy({"retry_policy": (own,)}).plan.nodes["a"].policies.retry == (own,)


def test_a_time_limit_needs_async_code() -> None:
    async def later(value: int) -> int:
        return value

    def limited(function: Any) -> Any:
        node = NodeBuilder().subscribe_only("input").do(function).set_timeout(1).write_to("output")
        assert node.build().timeout == TimeoutPolicy(run_timeout=1.0)
        return Pregel(
            nodes={"a": node},
            channels={"input": LastValue(int), "output": LastValue(int)},
            input_channels="input",
            output_channels="output",
        )

    limited(later)
    with pytest.raises(ValueError, match="only supported for async nodes"):
        limited(add_one)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"nodes": {"a": 5}}, TypeError, "expected PregelNode or NodeBuilder"),
        ({"nodes": {"__input__": NodeBuilder().subscribe_only("input")}}, ValueError, "is reserved"),
        ({"channels": {"input": LastValue(int), "__resume__": LastValue(int)}}, ValueError, "is reserved"),
        (
            {"channels": {"input": LastValue(int), "__pregel_tasks": LastValue(int)}},
            ValueError,
            "is reserved and cannot be used",
        ),
        (
            {"nodes": {"a": NodeBuilder().subscribe_only("gone")}},
            ValueError,
            "Node a reads channel 'gone' not in known channels",
        ),
        (
            {"nodes": {"a": NodeBuilder().subscribe_to("gone", read=False)}},
            ValueError,
            "Subscribed channel 'gone' not in known channels",
        ),
        ({"input_channels": "gone"}, ValueError, "Input channel 'gone' not in known channels"),
        ({"input_channels": ["gone"]}, ValueError, "Input channel 'gone' not in '"),
        ({"input_channels": "output"}, ValueError, "Input channel output is not subscribed to by any node"),
        ({"input_channels": ["output"]}, ValueError, "None of the input channels"),
        ({"output_channels": ["gone"]}, ValueError, "Output channel 'gone' not in known channels"),
        ({"stream_channels": "gone"}, ValueError, "Output channel 'gone' not in known channels"),
        ({"interrupt_before_nodes": ["gone"]}, ValueError, "Node gone not in nodes"),
    ],
)
def test_what_a_graph_may_not_be(change, error, message) -> None:
    sound: dict[str, Any] = {
        "nodes": {"a": NodeBuilder().subscribe_only("input").write_to("output")},
        "channels": {"input": LastValue(int), "output": LastValue(int)},
        "input_channels": "input",
        "output_channels": "output",
    }
    Pregel(**sound)
    with pytest.raises(error, match=message):
        Pregel(**{**sound, **change})


def test_what_a_node_may_not_subscribe_to() -> None:
    with pytest.raises(ValueError, match="Cannot subscribe to single channels"):
        NodeBuilder().subscribe_to("a").subscribe_only("b")
    with pytest.raises(ValueError, match="Cannot subscribe to channels when subscribed to a single channel"):
        NodeBuilder().subscribe_only("a").subscribe_to("b")
    with pytest.raises(AssertionError, match="Cannot read additional channels"):
        NodeBuilder().subscribe_only("a").read_from("b")
    with pytest.raises(TypeError, match="Expected a Runnable, callable or dict"):
        NodeBuilder().do(5)


def test_input_that_is_none(world) -> None:
    graph = app(world, {"one": step("input", "output")}, inputs=["input"])
    with pytest.raises(EmptyInputError):
        world.run(graph, {"other": 1})
    with pytest.raises(TypeError, match="Expected chunk to be a dict, got int"):
        world.run(graph, 1)


def test_former_arguments() -> None:
    nodes = {"a": NodeBuilder().subscribe_only("input").write_to("output")}
    channels = {"input": LastValue(int), "output": LastValue(int)}
    options: dict[str, Any] = {"input_channels": "input", "output_channels": "output"}
    with pytest.warns(LangGraphDeprecatedSinceV10, match="`config_type` is deprecated"):
        graph = Pregel(nodes=nodes, channels=channels, **options, config_type=dict)
    assert graph.context_schema is dict
    with pytest.raises(TypeError):
        Pregel(nodes=nodes)


def test_nodes_can_be_changed_and_the_graph_checked_again() -> None:
    graph = Pregel(
        nodes={"a": NodeBuilder().subscribe_only("input").do(add_one).write_to("output")},
        channels={"input": LastValue(int), "output": LastValue(int)},
        input_channels="input",
        output_channels="output",
    )
    assert graph.invoke(1) == 2
    graph.nodes["b"] = NodeBuilder().subscribe_only("output").do(add_one).write_to("end").build()
    graph.channels["end"] = LastValue(int)
    graph.output_channels = "end"
    assert graph.validate().invoke(1) == 3
    node = graph.nodes["b"].copy({"triggers": ["input"], "bound": None})
    assert (node.triggers, node.bound.invoke(5), graph.nodes["b"].triggers) == (["input"], 5, ["output"])


def test_what_a_node_runs_is_made_a_runnable_once() -> None:
    node = NodeBuilder().subscribe_only("input").do(add_one).build()
    assert node.bound is node.bound
    assert node.copy({"tags": ["t"]}).bound is node.bound
    assert (node.copy({"bound": None}).bound.invoke(5), node.bound.invoke(5)) == (5, 6)
