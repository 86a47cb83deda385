"""Effects that a node has before it asks, outside of a step: noticed where Python tells of them."""

import socket
import warnings

import pytest

from dashflow.checkpoint.sqlite import SqliteSaver
from dashflow.func import step
from dashflow.graph import START, StateGraph
from dashflow.testing.effects import watch_effects
from dashflow.types import Command, interrupt
from dashflow.warnings import UnrecordedEffectWarning

pytestmark = pytest.mark.feature("NEW-05")

CONFIG = {"configurable": {"thread_id": "t"}}


@pytest.fixture
def ask(tmp_path):
    """Runs a node to its question; what was told of it."""

    def run(node):
        builder = StateGraph(dict).add_node("node", node).add_edge(START, "node")
        with SqliteSaver.from_conn_string(str(tmp_path / "threads.db")) as saver:
            graph = builder.compile(checkpointer=saver)
            with watch_effects(), warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                graph.invoke({}, CONFIG)
                assert graph.invoke(Command(resume="yes"), CONFIG)["node"] == "yes"
        return [str(one.message) for one in caught if one.category is UnrecordedEffectWarning]

    return run


def test_a_file_and_a_connection_before_a_question_are_told(ask, tmp_path) -> None:
    def node(state):
        (tmp_path / "out").write_text("done", encoding="utf-8")
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
            return {"node": interrupt("fine?")}

    told = ask(node)
    assert len(told) == 2
    assert f"asks after opening {tmp_path / 'out'} to write" in told[0]
    assert "connecting to ('127.0.0.1'" in told[1]


def test_what_a_step_does_and_what_comes_after_the_question_is_in_order(ask, tmp_path) -> None:
    def effect():
        (tmp_path / "out").write_text("done", encoding="utf-8")

    def node(state):
        step("write", effect)
        (tmp_path / "out").read_text(encoding="utf-8")
        answer = interrupt("fine?")
        effect()
        return {"node": answer}

    assert ask(node) == []


def test_nobody_is_told_when_nobody_watches(tmp_path) -> None:
    def node(state):
        (tmp_path / "out").write_text("done", encoding="utf-8")
        return {"node": interrupt("fine?")}

    with watch_effects():
        pass
    with SqliteSaver.from_conn_string(str(tmp_path / "threads.db")) as saver:
        graph = StateGraph(dict).add_node("node", node).add_edge(START, "node").compile(checkpointer=saver)
        assert graph.invoke({}, CONFIG)["__interrupt__"]
