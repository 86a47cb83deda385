"""Breakpoints on a condition, and breakpoints that are set and cleared while a thread runs."""

import sqlite3
import subprocess
import sys
import threading

import pytest

from dashflow.checkpoint.base import BaseCheckpointSaver
from dashflow.checkpoint.memory import InMemorySaver
from dashflow.checkpoint.sqlite import SqliteSaver
from dashflow.errors import UsageError
from dashflow.graph import START, StateGraph
from dashflow.types import Breakpoint

pytestmark = pytest.mark.feature("HIL-002")


def counting(world, **options):
    """a adds one to n until it is 5."""

    def a(state):
        return {"n": state["n"] + 1, "log": [f"a{state['n']}"]}

    builder = world.graph([a], [(START, "a")])
    builder.add_conditional_edges("a", lambda state: "a" if state["n"] < 5 else "__end__", ["a", "__end__"])
    return world.compile(builder, **options)


def chain(world, **options):
    return world.compile(world.graph([world.says("a"), world.says("b"), world.says("c")]), **options)


def next_of(world, graph):
    return world.state(graph).next


def call(world, graph, name, *args, **options):
    """A method of a graph, or its asynchronous twin."""
    return world.call(graph, name, world.config(), *args, **options)


# -- on a condition --------------------------------------------------------------------------------


def test_a_run_stops_before_a_node_when_the_condition_holds(recorded):
    graph = counting(recorded, interrupt_before={"a": lambda state: state["n"] == 3})
    assert recorded.run(graph, {"n": 0})["log"] == ["a0", "a1", "a2"]
    assert next_of(recorded, graph) == ("a",)
    assert recorded.run(graph, None)["log"] == ["a0", "a1", "a2", "a3", "a4"]


def test_a_run_stops_after_a_node_when_the_condition_holds(recorded):
    graph = counting(recorded)
    assert recorded.run(graph, {"n": 0}, interrupt_after={"*": lambda state: state["n"] % 2 == 0})["n"] == 2
    assert recorded.run(graph, None, interrupt_after={"*": lambda state: state["n"] % 2 == 0})["n"] == 4
    assert recorded.run(graph, None)["n"] == 5


def test_a_node_without_a_condition_always_stops_and_others_do_not(recorded):
    graph = chain(recorded, interrupt_before={"b": None, "c": lambda state: False})
    assert recorded.run(graph, {"log": []})["log"] == ["a"]
    assert recorded.run(graph, None)["log"] == ["a", "b", "c"]


def test_a_condition_that_raises_fails_the_run_and_says_where(recorded):
    graph = chain(recorded, interrupt_before={"b": lambda state: state["gone"]})
    with pytest.raises(KeyError, match="gone") as caught:
        recorded.run(graph, {"log": []})
    assert any("breakpoint at node 'b'" in note for note in caught.value.__notes__)
    assert recorded.run(chain(recorded), None)["log"] == ["a", "b", "c"]


def test_a_condition_on_an_unknown_node_is_refused(world):
    with pytest.raises(ValueError, match="gone"):
        chain(world, interrupt_before={"gone": None})


# -- on a live thread ------------------------------------------------------------------------------


def test_a_breakpoint_holds_until_it_is_cleared(recorded):
    graph = chain(recorded)
    point = call(recorded, graph, "set_breakpoint", "b")
    assert point == Breakpoint("b", "before")
    assert recorded.run(graph, {"log": []})["log"] == ["a"]
    assert next_of(recorded, graph) == ("b",)
    assert recorded.run(graph, None)["log"] == ["a", "b", "c"]
    assert recorded.run(graph, {"log": []})["log"] == ["a", "b", "c", "a"]
    assert call(recorded, graph, "clear_breakpoints", "b") == [point]
    assert recorded.run(graph, {"log": []})["log"] == [*"abca", *"abc"]
    assert call(recorded, graph, "get_breakpoints") == []


def test_both_sides_of_a_node_and_all_nodes(recorded):
    graph = chain(recorded)
    call(recorded, graph, "set_breakpoint", "a", at="after")
    call(recorded, graph, "set_breakpoint", "*")
    seen = [recorded.run(graph, given)["log"] for given in ({"log": []}, None, None, None, None)]
    assert seen == [[], ["a"], ["a", "b"], ["a", "b", "c"], ["a", "b", "c"]]
    assert {p.at for p in call(recorded, graph, "clear_breakpoints", at="after")} == {"after"}
    assert call(recorded, graph, "clear_breakpoints") == [Breakpoint("*")]


def test_a_condition_as_text_is_looked_at_in_every_step(recorded):
    graph = counting(recorded)
    call(recorded, graph, "set_breakpoint", "a", when="n == 2 or n > 3 and 'a1' in log")
    assert recorded.run(graph, {"n": 0})["n"] == 2
    assert recorded.run(graph, None)["n"] == 4
    call(recorded, graph, "set_breakpoint", "a", when="n == 99")  # takes the other's place
    assert len(call(recorded, graph, "get_breakpoints")) == 1
    assert recorded.run(graph, None)["n"] == 5


def test_breakpoints_survive_a_restart(recorded):
    call(recorded, chain(recorded), "set_breakpoint", "c", when="log[0] == 'a'")
    recorded.reopen()
    graph = chain(recorded)
    assert call(recorded, graph, "get_breakpoints") == [Breakpoint("c", "before", "log[0] == 'a'")]
    assert recorded.run(graph, {"log": []})["log"] == ["a", "b"]


def test_a_run_that_is_going_on_sees_what_is_set_and_cleared(recorded):
    """Node a sets a breakpoint at c; b clears it, and sets one after itself."""
    graphs = []

    def a(state):
        graphs[0].set_breakpoint(recorded.config(), "c")
        return {"log": ["a"]}

    def b(state):
        graphs[0].clear_breakpoints(recorded.config(), "c")
        graphs[0].set_breakpoint(recorded.config(), "b", at="after")
        return {"log": ["b"]}

    graphs.append(recorded.compile(recorded.graph([a, b, recorded.says("c")])))
    assert recorded.run(graphs[0], {"log": []})["log"] == ["a", "b"]
    assert next_of(recorded, graphs[0]) == ("c",)
    assert recorded.run(graphs[0], None)["log"] == ["a", "b", "c"]


def test_a_breakpoint_in_a_graph_inside(recorded):
    inner = recorded.graph([recorded.says("x"), recorded.says("y")]).compile()
    graph = recorded.compile(recorded.graph([recorded.says("a"), ("sub", inner), recorded.says("b")]))
    call(recorded, graph, "set_breakpoint", "sub|y")
    assert recorded.run(graph, {"log": []})["log"] == ["a"]
    assert next_of(recorded, graph) == ("sub",)
    assert recorded.run(graph, None)["log"][-2:] == ["y", "b"]


def test_threads_do_not_share_breakpoints_and_a_deleted_thread_has_none(recorded):
    graph = chain(recorded)
    call(recorded, graph, "set_breakpoint", "b")
    other = recorded.config("other")
    assert recorded.run(graph, {"log": []}, other)["log"] == ["a", "b", "c"]
    recorded.saver.delete_thread("t")
    assert call(recorded, graph, "get_breakpoints") == []
    assert recorded.run(graph, {"log": []})["log"] == ["a", "b", "c"]


def test_history_and_other_readers_see_no_difference(recorded):
    graph = chain(recorded)
    call(recorded, graph, "set_breakpoint", "b")
    recorded.run(graph, {"log": []})
    recorded.run(graph, None)
    plain = chain(recorded, interrupt_before=["b"])
    recorded.run(plain, {"log": []}, recorded.config("plain"))
    recorded.run(plain, None, recorded.config("plain"))
    call(recorded, graph, "clear_breakpoints")

    def shown(thread):
        states = recorded.history(graph, recorded.config(thread))
        return [(s.values, s.next, s.metadata["source"], s.metadata["step"]) for s in states]

    assert shown("t") == shown("plain")


@pytest.mark.parametrize(
    ("node", "options", "error", "message"),
    [
        ("gone", {}, ValueError, "Node gone not in nodes of LangGraph: a, b, c"),
        ("__start__", {}, ValueError, "Node __start__ not in nodes"),
        ("", {}, ValueError, "Node  not in nodes"),
        ("*|x", {}, ValueError, "not in nodes"),
        ("b", {"at": "above"}, UsageError, "'before' or 'after' a node, not 'above'"),
        ("b", {"when": "import os"}, UsageError, "'import os' is no condition"),
        ("b", {"when": "n +"}, UsageError, "A condition compares parts of the state"),
    ],
)
def test_what_cannot_be_set_is_refused_and_changes_nothing(recorded, node, options, error, message):
    graph = chain(recorded)
    with pytest.raises(error, match=message.replace("+", r"\+")):
        call(recorded, graph, "set_breakpoint", node, **options)
    assert call(recorded, graph, "get_breakpoints") == []


def test_a_saver_without_a_log_says_so():
    class Own(InMemorySaver):
        """A saver of somebody else."""

    builder = StateGraph(dict)
    builder.add_node("a", lambda state: state)
    builder.add_edge(START, "a")
    assert issubclass(Own, BaseCheckpointSaver)
    with pytest.raises(UsageError, match="this graph's saver, a Own, keeps none"):
        builder.compile(checkpointer=Own()).set_breakpoint({"configurable": {"thread_id": "1"}}, "a")


def test_several_who_set_breakpoints_at_once_lose_none(tmp_path):
    path = str(tmp_path / "threads.db")
    config = {"configurable": {"thread_id": "t"}}
    builder = StateGraph(dict)
    for number in range(8):
        builder.add_node(f"n{number}", lambda state: state)
        builder.add_edge(START, f"n{number}")
    savers = [SqliteSaver(sqlite3.connect(path, check_same_thread=False)) for _ in range(2)]
    graphs = [builder.compile(checkpointer=saver) for saver in savers]
    threads = [
        threading.Thread(target=graphs[number % 2].set_breakpoint, args=(config, f"n{number}"))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {point.node for point in graphs[0].get_breakpoints(config)} == {f"n{n}" for n in range(8)}
    for saver in savers:
        saver.log.close()


PROGRAM = """
import sys
from typing import TypedDict
from dashflow.checkpoint.sqlite import SqliteSaver
from dashflow.graph import START, StateGraph

class State(TypedDict):
    n: int

def step(state):
    if state["n"] == 3:
        print("three", flush=True)
        sys.stdin.readline()
    return {"n": state["n"] + 1}

builder = StateGraph(State)
builder.add_node("step", step)
builder.add_edge(START, "step")
builder.add_conditional_edges("step", lambda state: "step" if state["n"] < 1000 else "__end__")
with SqliteSaver.from_conn_string(sys.argv[1]) as saver:
    graph = builder.compile(checkpointer=saver)
    config = {"configurable": {"thread_id": "orders-7"}, "recursion_limit": 2000}
    print(graph.invoke({"n": 0}, config)["n"], graph.get_state(config).next, flush=True)
"""


def dashflow(*words):
    done = subprocess.run(
        [sys.executable, "-m", "dashflow", *words], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_the_command_line_stops_a_run_of_another_process(tmp_path):
    path = str(tmp_path / "threads.db")
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout.readline() == "three\n"
        code, shown, _ = dashflow("breakpoint", "set", "orders", "step", "--when", "n >= 4", "--db", path)
        assert code == 0
        assert [line.split() for line in shown.splitlines()] == [
            ["node", "at", "when"],
            ["step", "before", "n", ">=", "4"],
        ]
        print(file=program.stdin, flush=True)
        stopped, _, waiting = program.stdout.readline().partition(" ")
        assert waiting == "('step',)\n"
        assert 4 <= int(stopped) < 1000
    assert dashflow("breakpoint", "clear", "orders-7", "--db", path)[:2] == (
        0,
        "No breakpoints on thread orders-7.\n",
    )
    code, _, problem = dashflow("breakpoint", "clear", "orders-7", "gone", "--db", path)
    assert (code, "has no breakpoint at node 'gone'" in problem) == (2, True)
    code, _, problem = dashflow("breakpoint", "set", "nobody", "step", "--db", path)
    assert (code, "nobody" in problem) == (2, True)
