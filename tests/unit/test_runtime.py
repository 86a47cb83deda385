"""Runtime and what is in it: plain values that are merged, changed in copies, and filled from a config."""

import dataclasses

import pytest
from langgraph_sdk.auth.types import BaseUser

from dashflow import runtime as module
from dashflow.graph import START, StateGraph
from dashflow.runtime import DEFAULT_RUNTIME, ExecutionInfo, RunControl, Runtime, ServerInfo, get_runtime

pytestmark = pytest.mark.feature("RUN-05")

INFO = ExecutionInfo("checkpoint", "ns", "task")


def test_a_merge_takes_what_the_other_has_and_keeps_the_rest() -> None:
    control, server, writer, beat = RunControl(), ServerInfo("a", "g"), print, len
    full = Runtime(
        context=1, store=2, stream_writer=writer, heartbeat=beat, previous=0, execution_info=INFO,
        server_info=server, control=control,
    )  # fmt: skip
    assert full.merge(Runtime()) == full
    assert Runtime().merge(full) == full
    assert full.merge(Runtime(context=9, previous=8)) == full.override(context=9, previous=8)


def test_changes_make_copies() -> None:
    runtime = Runtime(execution_info=INFO)
    changed = runtime.patch_execution_info(node_attempt=3)
    assert (changed.execution_info.node_attempt, runtime.execution_info.node_attempt) == (3, 1)
    assert INFO.patch(thread_id="t") == ExecutionInfo("checkpoint", "ns", "task", "t")
    with pytest.raises(RuntimeError, match="Cannot patch execution_info"):
        DEFAULT_RUNTIME.patch_execution_info(node_attempt=2)
    for value, name in ((runtime, "context"), (INFO, "task_id"), (ServerInfo("a", "g"), "user")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, name, 1)


def test_a_runtime_of_nobody_does_nothing() -> None:
    assert DEFAULT_RUNTIME.stream_writer("x") is None
    assert DEFAULT_RUNTIME.heartbeat() is None
    assert (DEFAULT_RUNTIME.drain_requested, DEFAULT_RUNTIME.drain_reason) == (False, None)


def test_a_drain_is_told() -> None:
    runtime = Runtime(control=RunControl())
    assert not runtime.drain_requested
    runtime.control.request_drain("sigterm")
    assert (runtime.drain_requested, runtime.drain_reason) == (True, "sigterm")


class User:
    """Somebody with an identity."""

    identity = "me"


@pytest.mark.parametrize(
    ("configurable", "expected"),
    [
        ({}, None),
        ({"thread_id": "t"}, None),
        ({"langgraph_auth_user": {"no": "user"}}, None),
        ({"assistant_id": "a"}, ServerInfo("a", "")),
        ({"assistant_id": 1, "graph_id": "g"}, ServerInfo("1", "g")),
        ({"langgraph_auth_user": User}, ServerInfo("", "", User)),
    ],
)
def test_a_server_says_who_calls_what(configurable, expected) -> None:
    seen = []

    def node(state, runtime: Runtime):
        seen.append((runtime.server_info, get_runtime() is runtime))
        return {}

    StateGraph(dict).add_node("n", node).add_edge(START, "n").compile().invoke(
        {}, {"configurable": configurable}
    )
    assert seen == [(expected, True)]


def test_the_run_id_is_the_callers_and_not_for_graphs_inside() -> None:
    seen = []

    def node(state, runtime: Runtime):
        seen.append(runtime.execution_info.run_id)
        return {}

    inner = StateGraph(dict).add_node("n", node).add_edge(START, "n").compile()
    builder = StateGraph(dict).add_node("n", node).add_node("inner", inner)
    graph = builder.add_edge(START, "n").add_edge("n", "inner").compile()
    graph.invoke({})
    graph.invoke({}, {"run_id": "7d4b4f8e-0000-0000-0000-000000000000"})
    assert seen == [None, None, "7d4b4f8e-0000-0000-0000-000000000000", None]


def test_a_user_is_what_the_sdk_says() -> None:
    assert module.BaseUser is BaseUser
    with pytest.raises(AttributeError):
        module.Nothing  # noqa: B018  # asking is what is tested


def test_there_is_no_runtime_outside_of_a_task() -> None:
    with pytest.raises(RuntimeError, match="outside of a runnable context"):
        get_runtime()
