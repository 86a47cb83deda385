"""Recorded threads replayed with a graph as it is now: what changed is told where it shows first.

Every change of a matrix is made to a small graph whose runs were recorded before, in memory and in a file.
"""

import operator
from typing import Annotated, Any, Literal, TypedDict

import pytest
from pydantic import BaseModel

from dashflow.channels import Topic
from dashflow.graph import END, START, StateGraph
from dashflow.types import Command, Send, interrupt
from tests.behaviour.replays import SYNC, State, chain, first, replayed, says

pytestmark = [pytest.mark.feature("DBG-01"), pytest.mark.feature("NEW-04")]


# -- nothing changed --------------------------------------------------------------------------------


@pytest.mark.parametrize("run", [False, True])
def test_the_same_graph_does_the_same(recorded, run) -> None:
    builder = chain("a", "b", "c")
    graph = recorded.compile(builder)
    recorded.run(graph, {"n": 1})
    recorded.run(graph, {"n": 2})
    recorded.update(graph, recorded.config(), {"log": ["edit"]}, "a")
    recorded.run(graph, None)
    recorded.reopen()
    told = replayed(recorded, builder, run=run)
    assert (told.verdict, told.status, told.steps, told.divergence) == ("same", "finished", 10, None)
    assert (told.ran, told.unchecked) == (8 if run else 0, ())


def test_code_that_comes_to_the_same_is_the_same(recorded) -> None:
    recorded.run(recorded.compile(chain("a", "b")), {"n": 1})

    def otherwise(name: str):
        def node(state: State) -> dict:
            # Written in another way.
            return dict(log=[str(name)])  # noqa: C408

        return node

    assert replayed(recorded, chain("a", "b", make=otherwise), run=True).verdict == "same"


def test_nothing_of_the_users_runs_unless_asked_for(recorded) -> None:
    calls = []

    def work(state: State) -> dict:
        calls.append("node")
        return {"log": ["w"]}

    def path(state: State) -> Literal["work", "__end__"]:
        calls.append("path")
        return "work" if len(state["log"]) < 2 else END

    builder = recorded.graph([work])
    builder.add_conditional_edges("work", path)
    recorded.run(recorded.compile(builder), {"n": 1})
    calls.clear()
    told = replayed(recorded, builder)
    assert (told.verdict, calls) == ("same", [])
    assert told.unchecked == ("where 'work' itself or its conditional edges lead",)
    assert replayed(recorded, builder, routes=True).unchecked == ()
    assert calls == ["path", "path"]


# -- the graph changed ------------------------------------------------------------------------------


class Other(TypedDict, total=False):
    n: int
    log: Annotated[list[Any], lambda old, new: [*new, *old]]


class Kept(TypedDict, total=False):
    n: int
    log: list[Any]


class Gone(TypedDict, total=False):
    n: int


class More(State, total=False):
    extra: str


class Listed(TypedDict, total=False):
    n: int
    log: Annotated[list[Any], Topic]


class Strict(BaseModel):
    n: str = ""
    log: Annotated[list[Any], operator.add] = []


def refusing(old: list[Any], new: list[Any]) -> list[Any]:
    raise ValueError("no more")


class Refusing(TypedDict, total=False):
    n: int
    log: Annotated[list[Any], refusing]


def with_end_after_b() -> StateGraph:
    builder = chain("a", "b", "c")
    builder.edges.discard(("b", "c"))
    builder.add_edge("b", END)
    builder.add_edge("a", "c")
    return builder


def with_two_after_a() -> StateGraph:
    builder = chain("a", "b", "c")
    builder.add_node("x", says("x"))
    builder.add_edge("a", "x")
    return builder


CHANGES = {
    "renamed": (lambda: chain("a", "b2", "c"), ("node", 1, "a")),
    "first one renamed": (lambda: chain("a2", "b", "c"), ("node", 0, START)),
    "removed at the end": (lambda: chain("a", "b"), ("node", 2, "b")),
    "removed in between": (lambda: chain("a", "c"), ("node", 1, "a")),
    "new in between": (lambda: chain("a", "b", "x", "c"), ("edge", 2, "b")),
    "new at the end": (lambda: chain("a", "b", "c", "x"), ("edge", 3, "c")),
    "order": (lambda: chain("a", "c", "b"), ("edge", 1, "a")),
    "one more edge": (with_two_after_a, ("edge", 1, "a")),
    "edges changed": (with_end_after_b, ("edge", 1, "a")),
    "reducer": (lambda: chain("a", "b", "c", schema=Other), ("value", 2, "b")),
    "no reducer": (lambda: chain("a", "b", "c", schema=Kept), ("value", 2, "b")),
    "reducer raises": (lambda: chain("a", "b", "c", schema=Refusing), ("writes", 1, "a")),
    "channel gone": (lambda: chain("a", "b", "c", schema=Gone), ("channel", 1, "a")),
    "kind of channel": (lambda: chain("a", "b", "c", schema=Listed), ("value", 2, "b")),
    "type": (lambda: chain("a", "b", "c", schema=Strict), ("state", 1, "")),
    "one more channel": (lambda: chain("a", "b", "c", schema=More), None),
    "nothing": (lambda: chain("a", "b", "c"), None),
}


@SYNC
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_shows_where_it_matters_first(recorded, change) -> None:
    make, expected = CHANGES[change]
    recorded.run(recorded.compile(chain("a", "b", "c")), {"n": 1})
    recorded.reopen()
    told = replayed(recorded, make())
    assert (None if told.verdict == "same" else first(told)) == expected
    if expected is not None:
        assert told.divergence.meaning
        assert told.status == "finished"
        names = [one.id for one in recorded.compile(chain("a", "b", "c")).get_checkpoints("t")]
        assert told.divergence.checkpoint_id in names


@SYNC
def test_what_is_told_of_a_divergence(recorded) -> None:
    recorded.run(recorded.compile(chain("a", "b")), {"n": 1})
    found = replayed(recorded, chain("a", "b2")).divergence
    assert (found.kind, found.recorded, found.present) == ("node", ["b"], ["b2"])
    assert "threads that wait at it" in found.meaning
    assert (found.ns, found.version, found.position) == ("", 3, 3)
    value = replayed(recorded, chain("a", "b", schema=Other)).divergence
    assert (value.recorded, value.present) == ({"log": ["a", "b"]}, {"log": ["b", "a"]})


def test_a_node_that_comes_to_something_else(recorded) -> None:
    recorded.run(recorded.compile(chain("a", "b", "c")), {"n": 1})
    changed = chain("a", "b", "c", make=lambda name: says(name.replace("b", "B")))
    assert replayed(recorded, changed).verdict == "same"
    told = replayed(recorded, changed, run=True)
    assert first(told) == ("result", 2, "b")
    assert (told.divergence.recorded, told.divergence.present) == ({"log": ["b"]}, {"log": ["B"]})
    assert replayed(recorded, changed, run=["a", "c"]).verdict == "same"
    assert first(replayed(recorded, changed, run=["b"])) == ("result", 2, "b")


def test_a_node_that_fails_or_asks_now(recorded) -> None:
    recorded.run(recorded.compile(chain("a", "b")), {"n": 1})

    def failing(state: State) -> dict:
        raise KeyError("x")

    def asking(state: State) -> dict:
        return {"log": [interrupt("sure?")]}

    for node, present in ((failing, "KeyError: 'x'"), (asking, {"asks": ["sure?"]})):
        builder = recorded.graph([("a", says("a")), ("b", node)])
        assert replayed(recorded, builder).verdict == "same"
        told = replayed(recorded, builder, run=True)
        assert first(told) == ("error", 2, "b")
        assert told.divergence.present == present


def routed(world, path) -> StateGraph:
    builder = world.graph([("a", says("a")), ("x", says("x")), ("y", says("y"))], [(START, "a")])
    builder.add_conditional_edges("a", path)
    return builder


def test_a_conditional_edge_that_leads_elsewhere(recorded) -> None:
    recorded.run(recorded.compile(routed(recorded, lambda state: "x")), {"n": 1})
    changed = routed(recorded, lambda state: "y")
    told = replayed(recorded, changed)
    assert told.verdict == "same"
    assert told.unchecked == ("where 'a' itself or its conditional edges lead",)
    told = replayed(recorded, changed, routes=True)
    assert first(told) == ("route", 1, "a")
    assert (told.divergence.recorded, told.divergence.present, told.ran) == (["x"], ["y"], 0)
    assert first(replayed(recorded, changed, run=True)) == ("result", 1, "a")


def test_a_conditional_edge_that_cannot_lead_there_any_more(recorded) -> None:
    recorded.run(recorded.compile(routed(recorded, lambda state: "x")), {"n": 1})

    def path(state: State) -> Literal["y"]:
        return "y"

    told = replayed(recorded, routed(recorded, path))
    assert first(told) == ("edge", 1, "a")
    assert (told.divergence.recorded, told.divergence.present) == (["x"], ["y"])


def test_a_node_that_may_have_sent_itself_there_is_not_blamed(recorded) -> None:
    def steers(state):
        return Command(update={"log": ["a"]}, goto="x")

    nodes = [("a", steers), ("x", says("x"))]
    recorded.run(recorded.compile(recorded.graph(nodes, [(START, "a")])), {"n": 1})
    for run in (False, True):
        assert replayed(recorded, recorded.graph(nodes, [(START, "a")]), run=run).verdict == "same"
    told = replayed(recorded, recorded.graph([("a", says("a")), nodes[1]], [(START, "a")]))
    assert first(told) == ("edge", 1, "a")


# -- several tasks ------------------------------------------------------------------------------------


def spreading(world, items=("p", "q"), twice=False) -> StateGraph:
    def spread(state: State) -> list[Send]:
        return [Send("work", {"item": item}) for item in items]

    def work(given) -> dict:
        return {"log": [given["item"]] * (2 if twice else 1)}

    builder = world.graph([("a", says("a")), ("work", work), ("z", says("z"))], [(START, "a"), ("work", "z")])
    builder.add_conditional_edges("a", spread, ["work"])
    return builder


def test_packets_and_their_order(recorded) -> None:
    recorded.run(recorded.compile(spreading(recorded)), {"n": 1})
    told = replayed(recorded, spreading(recorded), run=True)
    assert (told.verdict, told.steps, told.ran) == ("same", 4, 4)
    other = replayed(recorded, spreading(recorded, ("q", "p")), run=True)
    assert first(other) == ("result", 1, "a")
    assert other.divergence.recorded == [["work", {"item": "p"}], ["work", {"item": "q"}]]
    assert first(replayed(recorded, spreading(recorded, ("q",)), routes=True)) == ("route", 1, "a")
    assert first(replayed(recorded, spreading(recorded, twice=True), run=["work"])) == ("result", 2, "work")


def test_packets_for_a_node_that_is_gone(recorded) -> None:
    recorded.run(recorded.compile(spreading(recorded)), {"n": 1}, interrupt_before=["work"])
    told = replayed(recorded, chain("a", "z"))
    assert first(told)[0] in ("node", "edge")
    gone = recorded.graph([("a", lambda state: {"log": ["a"]}), ("z", says("z"))], [(START, "a")])
    told = replayed(recorded, gone)
    assert told.verdict == "diverged"
    assert told.status == "paused"


def joining(world, *more) -> StateGraph:
    nodes = [(name, says(name)) for name in ("a", "b", "x", "z")]
    builder = world.graph(nodes, [(START, "a"), (START, "b"), (START, "x")])
    builder.add_edge(["a", "b", *more], "z")
    return builder


def test_an_edge_from_several_nodes(recorded) -> None:
    recorded.run(recorded.compile(joining(recorded)), {"n": 1})
    assert replayed(recorded, joining(recorded), run=True).verdict == "same"
    assert first(replayed(recorded, joining(recorded, "x"))) == ("edge", 1, "a")


def test_what_wakes_a_node_is_part_of_its_tasks_ids(recorded) -> None:
    def ask(state: State) -> dict:
        return {"log": [interrupt("ok?")]}

    nodes = [("a", says("a")), ("b", says("b")), ("q", ask)]
    before = recorded.graph(nodes, [(START, "a"), ("a", "q")])
    recorded.run(recorded.compile(before), {"n": 1})
    after = recorded.graph(nodes, [(START, "a"), ("a", "q")])
    after.add_edge(["a", "b"], "q")
    told = replayed(recorded, after)
    assert first(told)[0] == "edge"  # a also reports to the new edge
    after = recorded.graph([*nodes, ("c", says("c"))], [(START, "a"), ("a", "q")])
    after.add_edge(["b", "c"], "q")
    told = replayed(recorded, after)
    assert first(told) == ("question", 2, "q")
    assert "another id" in told.divergence.meaning
    answered = recorded.compile(before)
    recorded.run(answered, Command(resume="yes"))
    assert first(replayed(recorded, after)) == ("question", 2, "q")


def test_a_deferred_node(recorded) -> None:
    def deferring(deferred: bool = True) -> StateGraph:
        builder = recorded.graph(
            [(name, says(name)) for name in ("a", "b", "c")],
            [(START, "a"), (START, "b"), ("b", "c")],
        )
        builder.add_node("z", recorded.node(says("z")), defer=deferred)
        builder.add_edge("a", "z")
        builder.add_edge("c", "z")
        return builder

    recorded.run(recorded.compile(deferring()), {"n": 1})
    assert replayed(recorded, deferring(), run=True).verdict == "same"
    assert replayed(recorded, deferring(False)).verdict == "diverged"
