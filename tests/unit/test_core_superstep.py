"""Supersteps as pure functions: who is due, what writes make of the channels, and where to stop."""

import operator
from typing import Annotated, Any, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashflow._util.reserved import TASKS
from dashflow.core.superstep import Live, Task, apply, next_tasks, pass_breakpoints, read, revive, stops_at
from dashflow.errors import InvalidUpdateError
from dashflow.graph import START, StateGraph
from dashflow.types import Send


class State(TypedDict, total=False):
    n: int
    log: Annotated[list[Any], operator.add]


def plan_of(edges, *, deferred=(), nodes=4):
    builder = StateGraph(State)
    for number in range(nodes):
        builder.add_node(f"n{number}", lambda s: None, defer=number in deferred)
    for start, end in edges:
        builder.add_edge(start, end)
    return builder.compile().plan


def live_of(plan, values=None):
    live = Live({}, dict.fromkeys(values or {}, 1), {}, None, -1)
    revive(plan, values or {}, live)
    return live


def begin(plan, given=None):
    """Channels after the input and the step that takes it."""
    live = live_of(plan)
    apply(plan, live, (), [(START, given or {"n": 1})])
    return step(plan, live, {})


def step(plan, live, results):
    """All due tasks run; ``results``: what each node writes besides where its edges lead."""
    tasks = next_tasks(plan, live)
    for task in tasks:
        task.writes = task.node.body.writes(
            results.get(task.name, task.input if task.name == START else None)
        )
    apply(plan, live, tasks)
    return live


def names(tasks):
    return [task.name for task in tasks]


# -- who is due ------------------------------------------------------------------------------------------


def test_packets_come_first_then_nodes_by_name() -> None:
    plan = plan_of([(START, "n2"), (START, "n1")])
    live = begin(plan)
    apply(plan, live, (), [(TASKS, Send("n3", "x")), (TASKS, Send("n0", "y"))])
    live.updated = {TASKS, "branch:to:n1", "branch:to:n2"}
    due = next_tasks(plan, live)
    assert [(task.name, task.key) for task in due] == [("n3", "#0"), ("n0", "#1"), ("n1", "n1"), ("n2", "n2")]
    assert [task.path for task in due[:2]] == [("__pregel_push", 0, False), ("__pregel_push", 1, False)]
    assert [task.input for task in due[:2]] == ["x", "y"]


def test_a_node_that_has_seen_its_trigger_is_not_due() -> None:
    plan = plan_of([(START, "n0")])
    live = begin(plan)
    assert names(next_tasks(plan, live)) == ["n0"]
    step(plan, live, {"n0": {"n": 2}})
    live.updated = None
    assert next_tasks(plan, live) == []


def test_a_join_opens_when_all_have_come_and_closes_when_it_was_passed() -> None:
    plan = plan_of([(START, "n0"), (START, "n1"), ("n1", "n2"), (["n0", "n2"], "n3"), ("n3", "n0")])
    live = begin(plan)
    due = []
    for _ in range(4):
        due.append(names(next_tasks(plan, live)))
        step(plan, live, {})
    assert due == [["n0", "n1"], ["n2"], ["n3"], ["n0"]]


def test_deferred_nodes_wait_until_nothing_else_is_woken() -> None:
    plan = plan_of([(START, "n0"), ("n0", "n1"), ("n1", "n2"), ("n0", "n3")], deferred={3})
    live = begin(plan)
    due = []
    for _ in range(4):
        due.append(names(next_tasks(plan, live)))
        step(plan, live, {})
    assert due == [["n0"], ["n1"], ["n2"], ["n3"]]


NAMES = st.sampled_from([f"n{i}" for i in range(4)])
EDGES = st.lists(
    st.one_of(
        st.tuples(st.one_of(st.just(START), NAMES), NAMES),
        st.tuples(st.lists(NAMES, min_size=1, max_size=3, unique=True), NAMES),
    ),
    max_size=9,
)
RESULTS = st.dictionaries(
    NAMES, st.fixed_dictionaries({"log": st.lists(st.integers(), max_size=1)}), max_size=4
)


@given(EDGES, st.sets(st.integers(0, 3), max_size=2), st.lists(RESULTS, max_size=8))
def test_asking_only_who_was_woken_finds_the_same_as_asking_everybody(edges, deferred, steps) -> None:
    plan = plan_of([(START, "n0"), *edges], deferred=deferred)
    live = begin(plan)
    for results in steps:
        woken, live.updated = live.updated, None
        everybody = sorted(names(next_tasks(plan, live)))
        live.updated = woken
        assert sorted(names(next_tasks(plan, live))) == everybody
        if not everybody:
            break
        step(plan, live, results)


@given(EDGES, st.sets(st.integers(0, 3), max_size=2), st.lists(RESULTS, max_size=8))
def test_a_run_revived_from_its_channels_goes_on_as_it_would_have(edges, deferred, steps) -> None:
    plan = plan_of([(START, "n0"), *edges], deferred=deferred)
    live = begin(plan)
    for results in steps:
        again = Live({}, dict(live.versions), {k: dict(v) for k, v in live.seen.items()}, None, live.step)
        revive(plan, {name: c.checkpoint() for name, c in live.channels.items()}, again)
        assert sorted(names(next_tasks(plan, again))) == sorted(names(next_tasks(plan, live)))
        assert again.warm == live.warm
        step(plan, live, results)
        step(plan, again, results)
        assert read(again.channels, plan.stream) == read(live.channels, plan.stream)
        assert (again.versions, again.seen) == (live.versions, live.seen)


# -- what writes make --------------------------------------------------------------------------------------


def test_all_channels_of_a_step_get_one_new_version() -> None:
    plan = plan_of([(START, "n0"), ("n0", "n1")])
    live = begin(plan)
    before = live.top
    step(plan, live, {"n0": {"n": 2, "log": ["x"]}})
    assert {live.versions[name] for name in ("n", "log", "branch:to:n0", "branch:to:n1")} == {before + 1}
    assert live.updated == {"n", "log", "branch:to:n1"}


def test_writes_are_joined_in_the_order_of_paths_whoever_ended_first() -> None:
    plan = plan_of([(START, "n0"), (START, "n1")])
    live = begin(plan)
    tasks = next_tasks(plan, live)
    for task in tasks:
        task.writes = [("log", [task.name])]
    apply(plan, live, list(reversed(tasks)))
    assert live.channels["log"].get() == ["n0", "n1"]


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (("nope", 1), "Node 'n0' wrote to unknown channel 'nope'"),
        (("branch:to:nope", None), "Node 'n0' goes to unknown node 'nope'"),
        ((TASKS, Send("nope", 1)), "sent to 'nope', which is no node"),
        ((TASKS, "n0"), "sent to 'n0', which is no node"),
    ],
    ids=str,
)
def test_writes_that_lead_nowhere_are_refused(write, words) -> None:
    plan = plan_of([(START, "n0")])
    live = begin(plan)
    (task,) = next_tasks(plan, live)
    task.writes = [write]
    with pytest.raises(InvalidUpdateError, match=words):
        apply(plan, live, [task])


def test_reading_one_key_gives_its_value_and_reading_several_those_that_are_there() -> None:
    plan = plan_of([(START, "n0")])
    live = begin(plan)
    assert read(live.channels, "n") == 1
    assert read(live.channels, ["log", "n"]) == {"log": [], "n": 1}
    assert read(live_of(plan).channels, ["n"]) == {}
    assert read(live_of(plan).channels, "n") is None


# -- where it stops ------------------------------------------------------------------------------------------


def test_a_breakpoint_stops_until_it_was_passed_and_again_when_something_changed() -> None:
    plan = plan_of([(START, "n0"), ("n0", "n0")])
    live = begin(plan)
    due = next_tasks(plan, live)
    assert names(stops_at(plan, live, ["n0"], due)) == ["n0"]
    assert names(stops_at(plan, live, "*", due)) == ["n0"]
    assert stops_at(plan, live, ["n1"], due) == []
    pass_breakpoints(live)
    assert stops_at(plan, live, ["n0"], due) == []
    step(plan, live, {})
    assert names(stops_at(plan, live, ["n0"], next_tasks(plan, live))) == ["n0"]


def test_hidden_nodes_are_not_stopped_at() -> None:
    plan = plan_of([(START, "n0")])
    live = live_of(plan)
    apply(plan, live, (), [(START, {"n": 1})])
    due = next_tasks(plan, live)
    assert isinstance(due[0], Task)
    assert (names(due), stops_at(plan, live, "*", due)) == ([START], [])
