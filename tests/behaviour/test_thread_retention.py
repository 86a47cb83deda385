"""Threads that grow long: opened from snapshots, shortened, deleted for good."""

import operator
import sqlite3
import threading
from typing import Annotated, Any, TypedDict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashflow.checkpoint import recording, retention
from dashflow.checkpoint.memory import InMemorySaver
from dashflow.checkpoint.recording import begun_in, branches_of
from dashflow.checkpoint.snapshots import LEAST_BYTES
from dashflow.checkpoint.sqlite import SqliteSaver
from dashflow.errors import FencedError, OwnershipConflictError, UnknownCheckpointError
from dashflow.graph import START, StateGraph
from dashflow.log.base import Append, NewEvent, Snapshot
from dashflow.types import Command, interrupt

LARGE = "x" * 20_000


def counting(world, steps=6):
    """a counts n up to ``steps``, and says so in the log."""

    def a(state):
        return {"n": state["n"] + 1, "log": [f"a{state['n']}"]}

    builder = world.graph([a], [(START, "a")])
    builder.add_conditional_edges(
        "a", lambda state: "a" if state["n"] < steps else "__end__", ["a", "__end__"]
    )
    return world.compile(builder)


def shown(world, graph):
    return [
        (s.config["configurable"]["checkpoint_id"], s.values, s.next, s.metadata["step"], s.created_at)
        for s in world.history(graph)
    ]


# -- shortened -------------------------------------------------------------------------------------


@pytest.mark.feature("LOG-05")
def test_a_shortened_thread_keeps_its_newest_checkpoints_as_they_were(recorded):
    graph = counting(recorded)
    recorded.run(graph, {"n": 0})
    before = shown(recorded, graph)
    assert recorded.saver.retain("t", checkpoints=3) == len(before) - 3
    assert shown(recorded, graph) == before[:3]
    assert len(recorded.saver.log.read("run-t")) < len(before)
    recorded.reopen()
    graph = counting(recorded)
    assert shown(recorded, graph) == before[:3]
    assert recorded.history(graph)[-1].parent_config is None
    assert recorded.saver.retain("t", checkpoints=3) == 0
    assert recorded.run(graph, {"n": 0})["log"] == [
        *(f"a{n}" for n in range(6)),
        *(f"a{n}" for n in range(6)),
    ]


@pytest.mark.feature("LOG-05", "RUN-13")
def test_kept_checkpoints_can_be_gone_back_to_and_the_others_are_gone(recorded):
    graph = counting(recorded)
    recorded.run(graph, {"n": 0})
    states = recorded.history(graph)
    recorded.saver.retain("t", checkpoints=3)
    assert recorded.run(graph, None, states[2].config)["log"] == [f"a{n}" for n in range(6)]
    with pytest.raises(UnknownCheckpointError, match=states[4].config["configurable"]["checkpoint_id"]):
        recorded.run(graph, None, states[4].config)


@pytest.mark.feature("LOG-05")
@pytest.mark.guarantee("deleted-stays-deleted")
def test_a_branch_survives_when_what_it_began_from_is_dropped(recorded):
    graph = counting(recorded, 3)
    recorded.run(graph, {"n": 0})
    first = recorded.history(graph)[-2]
    edited = recorded.update(graph, first.config, {"log": ["edited"]}, "a")
    assert recorded.run(graph, None, edited)["log"] == ["edited", "a0", "a1", "a2"]
    before = shown(recorded, graph)
    recorded.saver.retain("t", checkpoints=3)
    recorded.reopen()
    assert shown(recorded, counting(recorded, 3)) == before[:3]
    recorded.saver.retain("t", checkpoints=1)
    assert shown(recorded, counting(recorded, 3)) == before[:1]
    assert recorded.run(counting(recorded, 3), {"n": 2})["log"][-1] == "a2"


@pytest.mark.feature("LOG-05", "RUN-14")
def test_a_branch_that_would_lose_its_beginning_at_this_moment_is_refused(recorded, monkeypatch):
    graph = counting(recorded)
    recorded.run(graph, {"n": 0})
    before = shown(recorded, graph)
    oldest = recorded.history(graph)[-1].config
    refused = []

    def looked_for_and_then_begun(reader, thread):
        found = begun_in(reader, thread)
        if thread != "t":
            return found
        with pytest.raises(OwnershipConflictError, match="shorten"):
            graph.create_branch(oldest, "early")
        refused.append(thread)
        return found

    monkeypatch.setattr(recording, "begun_in", looked_for_and_then_begun)
    assert recorded.saver.retain("t", checkpoints=3) == len(before) - 3
    monkeypatch.undo()
    assert refused == ["t"]
    assert graph.list_branches(recorded.config("t")) == []
    assert recorded.saver.log.read("run-t", limit=1)[0].version > 1
    with pytest.raises(UnknownCheckpointError):
        graph.create_branch(oldest, "early")
    kept = graph.create_branch(recorded.history(graph)[-1].config, "early")
    assert graph.get_state(recorded.config(kept.thread_id)).values["n"] == 4


@pytest.mark.feature("LOG-05", "RUN-14")
def test_a_branch_that_begins_before_events_are_dropped_keeps_them(recorded, monkeypatch):
    graph = counting(recorded)
    recorded.run(graph, {"n": 0})
    before = shown(recorded, graph)
    oldest = recorded.history(graph)[-1].config
    begun = []

    def looked_for_and_then_begun(reader, thread):
        found = begun_in(reader, thread)
        if not begun:
            begun.append(graph.create_branch(oldest, "early"))
        return found

    monkeypatch.setattr(retention, "begun_in", looked_for_and_then_begun)
    assert recorded.saver.retain("t", checkpoints=3) == len(before) - 3
    assert shown(recorded, graph) == before[:3]
    assert recorded.saver.log.read("run-t", limit=1)[0].version == 1
    assert recorded.run(graph, None, recorded.config(begun[0].thread_id))["n"] == 6


@pytest.mark.feature("LOG-05", "RUN-14")
def test_a_branch_that_begins_while_its_thread_is_deleted_goes_with_it(recorded, monkeypatch):
    graph = counting(recorded)
    recorded.run(graph, {"n": 0})
    begun = []

    def looked_for_and_then_begun(reader, thread):
        found = branches_of(reader, thread)
        if not begun:
            begun.append(graph.create_branch(recorded.config("t"), "late"))
        return found

    monkeypatch.setattr(retention, "branches_of", looked_for_and_then_begun)
    recorded.saver.delete_thread("t")
    assert graph.get_state(recorded.config(begun[0].thread_id)).values == {}
    assert [len(recorded.saver.log.read(f"run-{t}")) for t in ("t", begun[0].thread_id)] == [1, 1]
    assert graph.list_branches(recorded.config("t")) == []


@pytest.mark.feature("LOG-05", "NEW-01")
def test_the_stream_of_a_run_whose_process_died_is_not_shortened_and_is_taken_over(recorded):
    graph = counting(recorded)
    recorded.run(graph, {"n": 0})
    log, version = recorded.saver.log, recorded.saver.log.version("run-t")
    copied = log.read("run-t")
    started = next(record for record in copied if record.type == "RunStarted")
    again = NewEvent(started.type, started.data, bytes(16), started.at, started.schema)
    log.append(Append("run-t", (again,), version, owner=f"{log.instance}/run", claim=True))
    recorded.reopen()
    recorded.saver.retain("t", checkpoints=1)
    assert [info.stream for info in recorded.saver.log.abandoned()] == ["run-t"]


@pytest.mark.feature("LOG-05")
def test_a_waiting_question_survives_shortening(recorded):
    def ask(state):
        return {"log": [interrupt("how much?")]}

    graph = recorded.compile(recorded.graph([recorded.says("a"), recorded.says("b"), ask]))
    recorded.run(graph, {"log": []})
    recorded.saver.prune(["t"])
    recorded.reopen()
    graph = recorded.compile(recorded.graph([recorded.says("a"), recorded.says("b"), ask]))
    assert [i.value for i in recorded.state(graph).interrupts] == ["how much?"]
    assert recorded.run(graph, Command(resume=7))["log"] == ["a", "b", 7]


@pytest.mark.feature("LOG-05")
def test_checkpoints_are_kept_by_their_age(recorded):
    graph = counting(recorded)
    recorded.run(graph, {"n": 0})
    count = len(recorded.history(graph))
    assert recorded.saver.retain("t", seconds=1e9) == 0
    assert recorded.saver.retain("t", seconds=0) == count - 1
    assert len(recorded.history(graph)) == 1


@pytest.mark.feature("LOG-05")
def test_what_cannot_be_kept_is_refused(recorded):
    for bounds in ({}, {"checkpoints": 0}, {"seconds": -1}):
        with pytest.raises(ValueError, match="checkpoint"):
            recorded.saver.retain("t", **bounds)
    assert recorded.saver.retain("nobody", checkpoints=1) == 0
    log = recorded.saver.log
    recorded.run(counting(recorded), {"n": 0})
    log.append(Append("run-t", owner=f"{log.instance}/other", claim=True))
    with pytest.raises(OwnershipConflictError):
        recorded.saver.retain("t", checkpoints=1)


class Grown(TypedDict):
    items: Annotated[list[Any], operator.add]
    note: str


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("run"), st.integers(0, 3)),
            st.tuples(st.just("edit"), st.integers(0, 3)),
            st.tuples(st.just("fork"), st.integers(0, 5)),
            st.tuples(st.just("retain"), st.integers(1, 4)),
        ),
        max_size=12,
    )
)
@pytest.mark.feature("LOG-05")
def test_whatever_is_done_a_shortened_thread_shows_the_same_as_far_as_it_goes(program):
    """The same program with and without shortening; ids and times differ, what they lead to does not."""
    builder = StateGraph(Grown)
    builder.add_node("a", lambda state: {"items": [len(state["items"])], "note": f"n{len(state['items'])}"})
    builder.add_edge(START, "a")
    whole, short = (builder.compile(checkpointer=InMemorySaver()) for _ in range(2))
    config = {"configurable": {"thread_id": "t"}}
    bound = 1000

    def told(graph):
        return [
            (s.values, s.next, s.metadata["source"], s.metadata["step"])
            for s in graph.get_state_history(config)
        ]

    for what, number in program:
        for graph in (whole, short):
            if what == "run":
                graph.invoke({"items": [number], "note": "in"}, config)
            elif what == "edit":
                graph.update_state(config, {"items": [number], "note": "edit"}, "a")
            elif what == "fork":
                states = list(graph.get_state_history(config))
                place = number if number < min(bound, len(states)) else 0
                if states:
                    graph.update_state(states[place].config, {"items": ["fork"], "note": "fork"}, "a")
            elif graph is short:
                short.checkpointer.retain("t", checkpoints=number)
                bound = min(bound, number)
        if what in ("run", "edit", "fork"):
            bound += {"run": 3, "edit": 1, "fork": 1}[what] if bound < 1000 else 0
        expected, found = told(whole), told(short)
        assert found == expected[: len(found)]
        assert short.get_state(config).values == whole.get_state(config).values


# -- deleted ---------------------------------------------------------------------------------------


@pytest.mark.feature("LOG-05")
@pytest.mark.guarantee("deleted-stays-deleted")
def test_a_deleted_thread_leaves_a_tombstone_and_its_name(recorded):
    inner = recorded.graph([recorded.says("x")]).compile(checkpointer=True)
    graph = recorded.compile(recorded.graph([recorded.says("a"), ("sub", inner)]))
    recorded.run(graph, {"log": ["secret"]})
    streams = [s.stream for s in recorded.saver.log.streams() if "t" in s.stream.partition("-")[2]]
    recorded.saver.delete_thread("t")
    for stream in streams:
        (tombstone,) = recorded.saver.log.read(stream)
        assert b"secret" not in tombstone.data
    assert recorded.state(graph).values == {}
    assert recorded.history(graph) == []
    recorded.reopen()
    graph = recorded.compile(recorded.graph([recorded.says("a"), ("sub", inner)]))
    assert recorded.run(graph, {"log": ["new"]})["log"][0] == "new"


@pytest.mark.feature("LOG-05", "NEW-08")
@pytest.mark.guarantee("deleted-stays-deleted")
def test_a_run_that_goes_on_cannot_bring_a_deleted_thread_back():
    for saver in (InMemorySaver(), SqliteSaver(sqlite3.connect(":memory:", check_same_thread=False))):
        config = {"configurable": {"thread_id": "t"}}
        reached, go_on, errors = threading.Event(), threading.Event(), []

        def slow(state, reached=reached, go_on=go_on):
            reached.set()
            go_on.wait(30)
            return {"items": ["late"]}

        builder = StateGraph(Grown)
        builder.add_node("slow", slow)
        builder.add_edge(START, "slow")
        graph = builder.compile(checkpointer=saver)

        def run(graph=graph, config=config, errors=errors):
            try:
                graph.invoke({"items": ["secret"]}, config, durability="sync")
            except FencedError as error:
                errors.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        reached.wait(30)
        saver.delete_thread("t")
        go_on.set()
        thread.join()
        assert len(errors) == 1
        assert graph.get_state(config).values == {}
        assert len(saver.log.read("run-t")) == 1
        saver.log.close()


# -- opened quickly --------------------------------------------------------------------------------


class Counted:
    """A log that counts the records it reads."""

    def __init__(self, log):
        self.log = log
        self.records = 0

    def __getattr__(self, name):
        return getattr(self.log, name)

    def read(self, *args, **options):
        found = self.log.read(*args, **options)
        self.records += len(found)
        return found


@pytest.mark.feature("LOG-06")
def test_a_long_thread_opens_from_a_snapshot(recorded):
    graph = counting(recorded, 3)
    for number in range(40):
        recorded.run(graph, {"n": 0, "log": [number]})
    expected = recorded.state(graph)
    for _ in range(2):  # the first look may be the one that takes the snapshot
        recorded.reopen()
        counted = recorded.saver.reader.log = Counted(recorded.saver.reader.log)
        found = recorded.state(counting(recorded, 3))
        assert (found.values, found.config) == (expected.values, expected.config)
    assert counted.records < recorded.saver.log.version("run-t") / 2


@pytest.mark.feature("LOG-06")
def test_a_snapshot_that_cannot_be_read_is_no_harm(recorded):
    graph = counting(recorded, 3)
    recorded.run(graph, {"n": 0, "log": ["y" * LEAST_BYTES, "y"]})
    log = recorded.saver.log
    version = log.version("run-t")

    for snapshot in (
        Snapshot(version, b"damaged", 1),
        Snapshot(version, b"\x80", 99),
        Snapshot(version - 1, b"\x93", 1),
    ):
        log.keep_snapshot("run-t", snapshot)
        recorded.reopen()
        log = recorded.saver.log
        assert recorded.state(counting(recorded, 3)).values["n"] == 3


@pytest.mark.feature("LOG-04")
def test_a_large_value_in_many_threads_is_kept_once(recorded):
    graph = counting(recorded, 2)
    for thread in range(5):
        recorded.run(graph, {"n": 0, "log": [LARGE]}, recorded.config(f"t{thread}"))
    log = recorded.saver.log
    stored = sum(len(record.data) for record in log.read_all())
    assert stored < len(LARGE)
    recorded.reopen()
    for thread in range(5):
        state = recorded.state(counting(recorded, 2), recorded.config(f"t{thread}"))
        assert state.values["log"][0] == LARGE
