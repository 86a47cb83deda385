"""Nodes in processes of their own: values cross as data, crashes are typed, and they can be killed."""

import asyncio
import os
import signal
import threading

import pytest

from dashflow.checkpoint.memory import InMemorySaver
from dashflow.errors import (
    NodeProcessDiedError,
    NodeTimeoutError,
    RemoteNodeError,
    RunCancelledError,
    UsageError,
    ValueCodecError,
)
from dashflow.graph import END, START, StateGraph
from dashflow.types import RetryPolicy
from tests.behaviour import isolated_nodes as nodes

pytestmark = [pytest.mark.feature("RUN-08"), pytest.mark.skipif(os.name == "nt", reason="kills by signal")]

CONFIG = {"configurable": {"thread_id": "t"}}


def graph_of(function, saver=None, **options):
    graph = StateGraph(nodes.State)
    graph.add_node("node", function, isolation="process", **options)
    graph.add_edge(START, "node")
    return graph.compile(checkpointer=saver)


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_function_runs_elsewhere_with_values_of_users_classes():
    graph = graph_of(nodes.double)
    done = graph.invoke({"n": 4, "order": nodes.Order(10)})
    assert done["n"] == 8
    assert done["order"] == nodes.Order(11)
    assert done["pid"] != os.getpid()
    again = graph.invoke({"n": 5, "order": nodes.Order(10)})
    assert (again["n"], again["pid"]) == (10, done["pid"])  # the process is used again


def test_async_functions_and_asyncio_callers():
    graph = graph_of(nodes.double_async)
    assert asyncio.run(graph.ainvoke({"n": 4}))["n"] == 8


def test_commands_come_back():
    graph = StateGraph(nodes.State)
    graph.add_node("node", nodes.go_on, isolation="process")
    graph.add_node("end", lambda state: {"n": state["n"] + 1})
    graph.add_edge(START, "node")
    graph.add_edge("end", END)
    assert graph.compile().invoke({"n": 0}) == {"n": 8}


def test_what_it_raises_is_raised_here():
    with pytest.raises(ValueError, match="no such thing") as caught:
        graph_of(nodes.refuse).invoke({"n": 0})
    assert "isolated_nodes.py" in "".join(caught.value.__notes__)
    with pytest.raises(nodes.OddError, match="odd: it is") as odd:
        graph_of(nodes.odd).invoke({"n": 0})
    assert odd.value.why == "it is"
    with pytest.raises(RemoteNodeError, match="only there") as unknown:
        graph_of(nodes.unknown).invoke({"n": 0})
    assert unknown.value.kind.endswith("LocalError")


def test_a_crash_is_a_typed_error_and_can_be_retried(tmp_path):
    mark = str(tmp_path / "one")
    with pytest.raises(NodeProcessDiedError) as caught:
        graph_of(nodes.die).invoke({"mark": mark})
    assert caught.value.exitcode == -signal.SIGKILL
    mark = str(tmp_path / "two")
    retrying = graph_of(nodes.die, retry_policy=RetryPolicy(initial_interval=0, jitter=False))
    assert retrying.invoke({"mark": mark})["n"] == 1


def test_a_sync_function_has_a_time_limit_and_is_killed(tmp_path):
    mark = tmp_path / "pid"
    with pytest.raises(NodeTimeoutError):
        graph_of(nodes.hang, timeout=1.0).invoke({"mark": str(mark)})
    assert gone(int(mark.read_text()))


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_cancel_kills_it(tmp_path, asynchronous):
    saver, mark, caught = InMemorySaver(), tmp_path / "pid", []
    os.mkfifo(mark)
    graph = graph_of(nodes.hang, saver)

    def run():
        try:
            if asynchronous:
                asyncio.run(graph.ainvoke({"mark": str(mark)}, CONFIG))
            else:
                graph.invoke({"mark": str(mark)}, CONFIG)
        except RunCancelledError as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    pid = int(mark.read_text())  # a pipe: returns when the node has written
    assert graph.cancel(CONFIG, wait=30).status == "cancelled"
    thread.join(30)
    assert gone(pid)
    assert len(caught) == 1
    assert saver.log.read("run-t")[-1].type == "RunCancelled"


def test_a_result_that_is_no_data_is_an_error_there():
    with pytest.raises(ValueCodecError, match=r"builtins\.object"):
        graph_of(nodes.unstorable).invoke({"n": 0})


def test_what_cannot_be_found_by_name_is_refused_when_the_graph_is_built():
    graph = StateGraph(nodes.State)
    with pytest.raises(UsageError, match="by name"):
        graph.add_node("node", lambda state: None, isolation="process")

    def wants_config(state, config):
        return None

    with pytest.raises(UsageError, match="belong to this process"):
        graph.add_node("node", wants_config, isolation="process")
    with pytest.raises(UsageError, match="isolation of node"):
        graph.add_node("node", nodes.double, isolation="thread")
