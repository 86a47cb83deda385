"""The pure rules behind policies: what is left of a limit, what counts as progress, keys, traces."""

import logging
from datetime import timedelta

import pytest
from langchain_core.callbacks import CallbackManager
from langchain_core.runnables import Runnable, RunnableLambda, RunnableParallel

from dashflow.core.plan import PLAIN, GraphPlan, NodePlan, NodePolicies
from dashflow.core.superstep import Task
from dashflow.engine.cache import DYNAMIC, full_key, identity, namespaces
from dashflow.engine.handlers import handler_of, resumed
from dashflow.engine.retry import delay_before, matching_policy
from dashflow.engine.timeout import Watch, check_timeout
from dashflow.engine.trace import shown_input, shown_output
from dashflow.errors import GraphInterrupt, LogError, NodeError
from dashflow.types import CachePolicy, RetryPolicy, TimeoutPolicy, TracePolicy, omit_payload

pytestmark = pytest.mark.feature("RUN-05")


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def watch(**limits):
    clock = Clock()
    return Watch(TimeoutPolicy.coerce(TimeoutPolicy(**limits)), clock), clock


def test_the_nearest_limit_counts() -> None:
    both, clock = watch(run_timeout=10, idle_timeout=timedelta(seconds=4))
    assert both.left() == 4
    clock.now += 3
    both.progress()
    assert both.left() == 4
    clock.now += 4
    both.beat()
    assert both.left() == 3
    clock.now += 3
    assert both.left() == 0
    error = both.error("node")
    assert (error.kind, error.timeout, error.elapsed, error.idle_timeout) == ("run", 10, 10, 4)
    assert str(error) == "Node 'node' exceeded its run timeout of 10.000s (elapsed: 10.000s)."


def test_only_beats_count_when_heartbeats_are_asked_for() -> None:
    strict, clock = watch(idle_timeout=4, refresh_on="heartbeat")
    clock.now += 3
    strict.progress()
    assert strict.left() == 1
    strict.beat()
    assert strict.left() == 4
    clock.now += 5
    assert strict.error("node").kind == "idle"


def test_events_of_langchain_are_heard_beside_those_who_listen_already() -> None:
    idle, clock = watch(idle_timeout=4)
    manager = CallbackManager([])
    for config in ({}, {"callbacks": ["other"]}, {"callbacks": manager}):
        clock.now += 1
        heard = idle.hear(config)["callbacks"]
        listener = heard[-1] if isinstance(heard, list) else heard.inheritable_handlers[-1]
        listener.on_llm_new_token("token", run_id=1)
        assert idle.left() == 4
        with pytest.raises(AttributeError):
            listener.something_else  # noqa: B018  # asking is what is tested
    assert not manager.handlers
    strict, _ = watch(idle_timeout=4, refresh_on="heartbeat")
    config = {}
    assert strict.hear(config) is config


def test_only_code_that_is_async_all_the_way_can_be_limited() -> None:
    async def awaits(value):
        return value

    def blocks(value):
        return value

    class Own(Runnable):
        def invoke(self, input, config=None):  # noqa: A002
            return input

        async def ainvoke(self, input, config=None):  # noqa: A002
            return input

    class Inherited(Runnable):
        def invoke(self, input, config=None):  # noqa: A002
            return input

    free = RunnableLambda(awaits)
    both = RunnableLambda(blocks, afunc=awaits)
    for action in (awaits, free, both, free | free, RunnableParallel(a=free, b=both), Own(), free.bind(x=1)):
        check_timeout("node", action)
    held = RunnableLambda(blocks)
    for action in (
        blocks,
        held,
        free | held,
        RunnableParallel(a=free, b=held),
        Inherited(),
        held.bind(x=1),
        len,
    ):
        with pytest.raises(ValueError, match="Node 'node' is sync"):
            check_timeout("node", action)
    with pytest.raises(ValueError, match="Node 'node' is sync"):
        check_timeout("node", free, [held])


def test_the_first_policy_that_fits_decides_and_jitter_is_added() -> None:
    first = RetryPolicy(retry_on=KeyError, jitter=False)
    second = RetryPolicy(initial_interval=2, retry_on=(OSError, LookupError))
    assert matching_policy((first, second), KeyError()) is first
    assert matching_policy((first, second), IndexError()) is second
    assert matching_policy((first, second), ValueError()) is None
    assert delay_before(first, 1, lambda: 0.25) == 0.5
    assert delay_before(second, 2, lambda: 0.25) == 4.25


def test_results_are_kept_by_the_code_the_node_and_the_key() -> None:
    policy = CachePolicy(key_func=lambda value: f"key {value}")
    place = ("ns", "module.function", "node")
    assert full_key(policy, place, 1) == full_key(CachePolicy(key_func=lambda value: b"key 1"), place, 1)
    assert full_key(policy, place, 1) != full_key(policy, place, 2)
    assert identity(watch) == f"{__name__}.watch"
    assert identity(RunnableLambda(watch)) == DYNAMIC
    nodes = {name: plan(name, identity=f"code of {name}") for name in "ab"}
    graph = GraphPlan("g", nodes=nodes, channels={}, managed={}, input_channel="x", output=[], stream=[])
    assert [space[1:] for space in namespaces(graph, ["b", "unknown"])] == [("code of b", "b")]
    assert len(namespaces(graph, None)) == 2


def plan(name, **policies):
    return NodePlan(name, triggers=(), reads=(), read=None, body=None, policies=NodePolicies(**policies))


def task_of(node, key=None):
    return Task(key or node.name, node, node.path, (), {"n": 1})


def test_a_handler_takes_over_failures_but_neither_control_flow_nor_a_lost_log() -> None:
    node, handler = plan("node", handler="handler"), plan("handler")
    nodes = {"node": node, "handler": handler}
    graph = GraphPlan("g", nodes=nodes, channels={}, managed={}, input_channel="x", output=[], stream=[])
    failed = task_of(node)
    error = ValueError("boom")
    taken = handler_of(graph, failed, error)
    assert taken.error == NodeError("node", error)
    assert (taken.name, taken.input) == ("handler", {"n": 1})
    for other in (GraphInterrupt(()), LogError("lost"), KeyboardInterrupt()):
        assert handler_of(graph, failed, other) is None
    assert handler_of(graph, task_of(handler), error) is None
    assert handler_of(graph, task_of(node, "#1"), error).key != taken.key, (
        "packets have handlers of their own"
    )


def test_a_recorded_failure_leads_to_the_handler_again() -> None:
    node, handler = plan("node", handler="handler"), plan("handler")
    nodes = {"node": node, "handler": handler}
    graph = GraphPlan("g", nodes=nodes, channels={}, managed={}, input_channel="x", output=[], stream=[])
    failed = task_of(node)
    taken = resumed(graph, failed, "ValueError('boom')", {})
    assert str(taken.error.error) == "ValueError('boom')"
    assert taken.writes is None
    error = ValueError("boom")
    assert resumed(graph, failed, error, {taken.key: [("n", 2)]}).writes == [("n", 2)]
    assert resumed(graph, failed, error, {}).error.error is error
    assert resumed(graph, task_of(plan("node")), error, {}) is None


def test_a_trace_policy_changes_what_is_shown_and_never_breaks_anything(caplog) -> None:
    def breaks(value):
        raise RuntimeError("no")

    policy = TracePolicy(process_inputs=omit_payload, process_outputs=breaks)
    assert shown_input(policy, {"secret": 1}) == {}
    assert shown_input(None, 1) == shown_output(None, 1) == shown_output(TracePolicy(), 1) == 1
    with caplog.at_level(logging.WARNING):
        assert shown_output(policy, {"n": 1}) == {"n": 1}
    assert "TracePolicy" in caplog.text


def test_a_node_without_policies_costs_none() -> None:
    assert NodePlan("n", triggers=(), reads=(), read=None, body=None).policies is PLAIN
