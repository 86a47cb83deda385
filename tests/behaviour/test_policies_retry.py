"""Retries: attempts are counted and told, waits grow, and every attempt starts anew."""

import asyncio
from itertools import pairwise

import pytest

from dashflow.errors import NodeCancelledError
from dashflow.graph import END, START, StateGraph
from dashflow.hosts.simulated import SimulatedHost
from dashflow.runtime import Runtime
from dashflow.types import Command, RetryPolicy, interrupt

pytestmark = pytest.mark.feature("RUN-05")

AT_ONCE = RetryPolicy(max_attempts=3, initial_interval=0, jitter=False)


def failing(times, result, kind=ConnectionError):
    """A node that fails so many times, and what it was told of its attempts."""
    told = []

    def node(state, runtime: Runtime):
        told.append(runtime.execution_info)
        if len(told) <= times:
            raise kind(f"attempt {len(told)}")
        return result

    return node, told


def test_a_node_learns_which_attempt_it_is_and_when_the_first_began(world) -> None:
    node, told = failing(2, {"n": 7})
    builder = StateGraph(world.State)
    builder.add_node("node", world.node(node), retry_policy=AT_ONCE).add_edge(START, "node")
    assert world.run(world.compile(builder), {"n": 1})["n"] == 7
    assert [info.node_attempt for info in told] == [1, 2, 3]
    assert len({info.node_first_attempt_time for info in told}) == 1
    assert len({(info.task_id, info.checkpoint_ns) for info in told}) == 1


def test_a_node_that_is_not_retried_learns_that_it_is_the_first_attempt(world) -> None:
    node, told = failing(0, {"n": 7})
    builder = StateGraph(world.State)
    builder.add_node("node", world.node(node)).add_edge(START, "node")
    world.run(world.compile(builder), {"n": 1})
    assert told[0].node_attempt == 1
    assert told[0].node_first_attempt_time > 0


def test_of_several_policies_the_first_that_fits_counts(world) -> None:
    node, told = failing(9, {}, KeyError)
    policies = [
        RetryPolicy(max_attempts=9, initial_interval=0, jitter=False, retry_on=ValueError),
        RetryPolicy(max_attempts=4, initial_interval=0, jitter=False, retry_on=(KeyError, OSError)),
        RetryPolicy(max_attempts=7, initial_interval=0, jitter=False, retry_on=lambda error: True),
    ]
    builder = StateGraph(world.State)
    builder.add_node("node", world.node(node), retry_policy=policies).add_edge(START, "node")
    with pytest.raises(KeyError) as raised:
        world.run(world.compile(builder), {"n": 1})
    assert len(told) == 4
    assert "During task with name 'node'" in "".join(raised.value.__notes__)


def test_the_default_policy_of_a_graph_is_for_nodes_without_their_own(world) -> None:
    mine, mine_told = failing(1, {"n": 7})
    other, other_told = failing(9, {})
    builder = StateGraph(world.State)
    builder.add_node("mine", world.node(mine))
    builder.set_node_defaults(retry_policy=AT_ONCE)
    builder.add_node("other", world.node(other), retry_policy=AT_ONCE._replace(max_attempts=2))
    builder.add_edge(START, "mine").add_edge("mine", "other")
    with pytest.raises(ConnectionError):
        world.run(world.compile(builder), {"n": 1})
    assert (len(mine_told), len(other_told)) == (2, 2)


def test_waits_grow_up_to_the_longest_and_jitter_adds_less_than_a_second() -> None:
    def waits(jitter):
        host = SimulatedHost(seed=3)
        node, _ = failing(5, {"n": 1})
        policy = RetryPolicy(10, 3.0, 50.0, 6, jitter)
        builder = StateGraph(dict)
        moments = []

        def timed(state, runtime: Runtime):
            moments.append(host.now() / 1e9)
            return node(state, runtime)

        builder.add_node("node", timed, retry_policy=policy).add_edge(START, "node")
        builder.compile().with_host(host).invoke({})
        return [later - earlier for earlier, later in pairwise(moments)]

    assert waits(False) == pytest.approx([10, 30, 50, 50, 50], abs=0.1)
    jittered = waits(True)
    assert all(low <= wait <= low + 1.1 for low, wait in zip([10, 30, 50, 50, 50], jittered, strict=True))
    assert jittered != pytest.approx([10, 30, 50, 50, 50], abs=0.05)


def test_a_retry_asks_the_same_questions_and_takes_the_same_answers(recorded) -> None:
    world, tried = recorded, []

    def node(state):
        answers = [interrupt("first"), interrupt("second")]
        tried.append(answers)
        if len(tried) < 3:
            raise ConnectionError
        return {"log": answers}

    builder = StateGraph(world.State)
    builder.add_node("node", world.node(node), retry_policy=AT_ONCE).add_edge(START, "node")
    graph = world.compile(builder)
    first = world.run(graph, {"n": 1})["__interrupt__"]
    second = world.run(graph, Command(resume="a"))["__interrupt__"]
    assert [question.value for question in (*first, *second)] == ["first", "second"]
    assert world.run(graph, Command(resume="b"))["log"] == ["a", "b"]
    assert tried == [["a", "b"]] * 3


def test_a_graph_inside_begins_anew_in_every_attempt(world) -> None:
    spaces = []

    def inside(state, config):
        spaces.append(config["configurable"]["checkpoint_ns"].rpartition("|")[0])
        if len(spaces) < 3:
            raise ConnectionError
        return {"log": ["inside"]}

    inner = StateGraph(world.State).add_node("inside", world.node(inside)).add_edge(START, "inside")
    builder = StateGraph(world.State).add_node("node", inner.compile(), retry_policy=AT_ONCE)
    builder.add_edge(START, "node").add_edge("node", END)
    assert world.run(world.compile(builder), {"n": 1})["log"] == ["inside"]
    (first, second, third) = spaces
    assert (second, third) == (f"{first}|1", f"{first}|2")


def test_control_flow_is_not_retried(world) -> None:
    tried = []

    def node(state):
        tried.append(1)
        return Command(graph=Command.PARENT, goto="after", update={"log": ["up"]})

    inner = StateGraph(world.State)
    everything = AT_ONCE._replace(retry_on=lambda error: True)
    inner.add_node("node", world.node(node), retry_policy=everything).add_edge(START, "node")
    builder = StateGraph(world.State)
    builder.add_node("inner", inner.compile(), retry_policy=everything)
    builder.add_node("after", world.node(lambda state: {"log": ["after"]}))
    builder.add_edge(START, "inner")
    assert world.run(world.compile(builder), {"n": 1})["log"] == ["up", "after"]
    assert tried == [1]


def test_a_node_that_says_it_was_cancelled_fails_at_once(world) -> None:
    tried = []

    def node(state):
        tried.append(1)
        raise asyncio.CancelledError("by itself")

    builder = StateGraph(world.State)
    everything = AT_ONCE._replace(retry_on=lambda error: True)
    builder.add_node("node", world.node(node), retry_policy=everything)
    builder.add_node("beside", world.node(lambda state: {"n": 2}))
    builder.add_edge(START, "node").add_edge(START, "beside")
    with pytest.raises(NodeCancelledError) as raised:
        world.run(world.compile(builder), {"n": 1})
    assert raised.value.node == "node"
    assert tried == [1]
