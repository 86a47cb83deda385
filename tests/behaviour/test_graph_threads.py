"""Threads: what is kept of a run, looking at it, changing it, going on from any place of its history."""

import itertools

import pytest

from dashflow.errors import EmptyInputError, InvalidUpdateError, UnknownCheckpointError
from dashflow.graph import END, START
from dashflow.types import Command, RetryPolicy


def chain(world, **options):
    return world.compile(world.graph([world.says("a"), world.says("b"), world.says("c")]), **options)


def steps(history):
    return [(h.metadata["step"], h.metadata["source"], h.next, h.values.get("log")) for h in history]


# -- what is kept ------------------------------------------------------------------------------------


@pytest.mark.feature("PERSIST-000")
def test_a_thread_goes_on_with_what_the_last_run_left(recorded) -> None:
    assert recorded.run(chain(recorded), {"n": 1})["log"] == ["a", "b", "c"]
    recorded.reopen()
    graph = chain(recorded)
    assert recorded.run(graph, {"n": 2})["log"] == ["a", "b", "c"] * 2
    assert recorded.state(graph).values == {"n": 2, "log": ["a", "b", "c"] * 2}


def test_threads_do_not_know_each_other(recorded) -> None:
    graph = chain(recorded)
    recorded.run(graph, {"n": 1}, recorded.config("one"))
    recorded.run(graph, {"n": 2}, recorded.config("two"))
    assert recorded.state(graph, recorded.config("one")).values["n"] == 1
    assert recorded.state(graph, recorded.config("two")).values["n"] == 2
    assert recorded.state(graph, recorded.config("three")).values == {}


@pytest.mark.feature("RUN-13")
def test_the_history_of_a_thread(recorded) -> None:
    graph = chain(recorded)
    recorded.run(graph, {"n": 1})
    history = recorded.history(graph)
    assert steps(history) == [
        (3, "loop", (), ["a", "b", "c"]),
        (2, "loop", ("c",), ["a", "b"]),
        (1, "loop", ("b",), ["a"]),
        (0, "loop", ("a",), []),
        (-1, "input", ("__start__",), []),
    ]
    for newer, older in itertools.pairwise(history):
        assert newer.parent_config == older.config
        assert newer.created_at >= older.created_at
    assert history[-1].parent_config is None
    assert recorded.state(graph).config == history[0].config


@pytest.mark.feature("RUN-13")
def test_history_is_filtered_limited_and_cut(recorded) -> None:
    graph = chain(recorded)
    recorded.run(graph, {"n": 1}, recorded.config(metadata={"user": "x"}))
    recorded.run(graph, {"n": 2}, recorded.config(metadata={"user": "y"}))
    whole = recorded.history(graph)
    assert len(whole) == 10
    assert len(recorded.history(graph, filter={"user": "x"})) == 5
    assert recorded.history(graph, filter={"source": "input"}) == [whole[4], whole[9]]
    assert recorded.history(graph, limit=3) == whole[:3]
    assert recorded.history(graph, before=whole[3].config) == whole[4:]
    assert recorded.history(graph, before=whole[3].config, limit=1, filter={"source": "input"}) == [whole[4]]


@pytest.mark.feature("RUN-13")
def test_every_checkpoint_can_be_looked_at(recorded) -> None:
    graph = chain(recorded)
    recorded.run(graph, {"n": 1})
    for known in recorded.history(graph):
        seen = recorded.state(graph, known.config)
        assert (seen.values, seen.next, seen.config) == (known.values, known.next, known.config)


@pytest.mark.feature("RUN-13")
@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_durability_changes_when_records_are_safe_and_not_what_they_say(recorded, durability) -> None:
    graph = chain(recorded)
    assert recorded.run(graph, {"n": 1}, durability=durability)["log"] == ["a", "b", "c"]
    recorded.reopen()
    graph = chain(recorded)
    history = steps(recorded.history(graph))
    assert history[0] == (3, "loop", (), ["a", "b", "c"])
    assert len(history) == (1 if durability == "exit" else 5)
    state = recorded.state(graph)
    assert (state.parent_config is None) == (durability == "exit")
    assert recorded.state(graph, state.config).values == state.values


def test_snapshots_may_be_changed_without_harm(recorded) -> None:
    graph = chain(recorded)
    recorded.run(graph, {"n": 1})
    recorded.state(graph).values["log"].append("scribble")
    for known in recorded.history(graph):
        known.values["log"].append("scribble")
    assert recorded.state(graph).values["log"] == ["a", "b", "c"]
    assert recorded.run(graph, {"n": 1})["log"] == ["a", "b", "c"] * 2


# -- going on ------------------------------------------------------------------------------------------


def test_to_go_on_with_a_finished_thread_does_nothing(recorded) -> None:
    graph = chain(recorded)
    recorded.run(graph, {"n": 1})
    assert recorded.run(graph, None)["log"] == ["a", "b", "c"]
    assert len(recorded.history(graph)) == 5


@pytest.mark.parametrize("when", ["before", "after"])
def test_static_breakpoints(recorded, when) -> None:
    graph = chain(recorded, **{f"interrupt_{when}": ["b"]})
    first = recorded.run(graph, {"n": 1})
    assert first["log"] == (["a"] if when == "before" else ["a", "b"])
    assert recorded.state(graph).next == (("b",) if when == "before" else ("c",))
    recorded.reopen()
    graph = chain(recorded, **{f"interrupt_{when}": ["b"]})
    assert recorded.run(graph, None)["log"] == ["a", "b", "c"]


def test_breakpoints_everywhere_stop_at_every_node_once(recorded) -> None:
    graph = chain(recorded)
    stops = []
    for given in ({"n": 1}, None, None, None):
        recorded.run(graph, given, interrupt_before="*")
        stops.append(recorded.state(graph).next)
    assert stops == [("a",), ("b",), ("c",), ()]


def test_a_new_input_takes_the_place_of_what_was_waiting(recorded) -> None:
    graph = chain(recorded, interrupt_before=["b"])
    recorded.run(graph, {"n": 1})
    assert recorded.run(graph, {"n": 2}) == {"n": 2, "log": ["a", "a"]}
    assert recorded.run(graph, None) == {"n": 2, "log": ["a", "a", "b", "c"]}


def test_a_failed_step_is_tried_again_and_nothing_else(recorded) -> None:
    ran: list[str] = []
    broken = [True]

    def work(name):
        def node(state):
            ran.append(name)
            if name == "b" and broken[0]:
                raise ValueError("not yet")
            return {"log": [name]}

        return name, node

    graph = recorded.compile(recorded.graph([work("a"), work("b"), work("c")]))
    with pytest.raises(ValueError, match="not yet"):
        recorded.run(graph, {"n": 1})
    state = recorded.state(graph)
    assert state.next == ("b",)
    assert state.tasks[0].error == "ValueError('not yet')"
    broken.clear()
    broken.append(False)
    assert recorded.run(graph, None)["log"] == ["a", "b", "c"]
    assert ran == ["a", "b", "b", "c"]


def test_a_sibling_of_a_failed_task_does_not_run_again(recorded) -> None:
    ran: list[str] = []
    broken = [True]
    beside = recorded.kind != "simulated"  # there one piece runs after the other, in whatever order

    def fine(state):
        ran.append("fine")
        return {"log": ["fine"]}

    def fails(state):
        if not ran and beside:  # this one is first: let the other one have its turn
            raise ConnectionError("wait")
        if broken[0]:
            raise ValueError("not yet")
        return {"log": ["fails"]}

    policy = RetryPolicy(
        max_attempts=500, initial_interval=0.001, backoff_factor=1, jitter=False, retry_on=ConnectionError
    )
    builder = recorded.graph([("fine", fine)])
    builder.add_node("fails", recorded.node(fails), retry_policy=policy).add_edge(START, "fails")
    builder.add_node("z", recorded.node(recorded.says("z")[1])).add_edge(["fine", "fails"], "z")
    graph = recorded.compile(builder)
    with pytest.raises(ValueError, match="not yet"):
        recorded.run(graph, {"n": 1})
    if ran:
        state = recorded.state(graph)
        assert (state.next, state.values["log"]) == (("fails",), ["fine"])
    broken[0] = False
    assert recorded.run(graph, None)["log"] == ["fails", "fine", "z"]
    assert ran == ["fine"]


# -- other places of the history -----------------------------------------------------------------------


@pytest.mark.feature("RUN-13")
def test_a_run_from_an_old_checkpoint_makes_a_branch_and_runs_again(recorded) -> None:
    ran: list[str] = []

    def work(name):
        def node(state):
            ran.append(name)
            return {"log": [f"{name}{len(ran)}"]}

        return name, node

    graph = recorded.compile(recorded.graph([work("a"), work("b"), work("c")]))
    recorded.run(graph, {"n": 1})
    before_b = recorded.history(graph)[2]
    assert recorded.run(graph, None, before_b.config)["log"] == ["a1", "b4", "c5"]
    assert ran == ["a", "b", "c", "b", "c"]
    history = recorded.history(graph)
    assert len(history) == 8
    fork = history[2]
    assert (fork.metadata["source"], fork.parent_config) == ("fork", before_b.config)
    old = recorded.state(graph, recorded.history(graph)[3].config)
    assert old.values["log"] == ["a1", "b2", "c3"]


@pytest.mark.feature("RUN-13")
def test_a_new_input_at_an_old_checkpoint(recorded) -> None:
    graph = chain(recorded)
    recorded.run(graph, {"n": 1})
    before_c = recorded.history(graph)[1]
    assert recorded.run(graph, {"n": 9}, before_c.config) == {"n": 9, "log": ["a", "b", "a", "b", "c"]}


@pytest.mark.feature("RUN-13")
def test_an_edited_old_checkpoint_is_a_branch(recorded) -> None:
    graph = chain(recorded)
    recorded.run(graph, {"n": 1})
    before_b = recorded.history(graph)[2]
    edited = recorded.update(graph, before_b.config, {"n": 77})
    assert recorded.state(graph, edited).values == {"n": 77, "log": ["a"]}
    assert recorded.run(graph, None, edited) == {"n": 77, "log": ["a", "b", "c"]}
    assert recorded.state(graph).values == {"n": 77, "log": ["a", "b", "c"]}
    recorded.reopen()
    graph = chain(recorded)
    assert recorded.state(graph).values == {"n": 77, "log": ["a", "b", "c"]}
    assert recorded.state(graph, before_b.config).values == {"n": 1, "log": ["a"]}


def test_a_checkpoint_that_is_not_there(recorded) -> None:
    graph = chain(recorded)
    recorded.run(graph, {"n": 1})
    for unknown in ("1f0a0000-0000-6000-8000-000000000000", "no id at all"):
        config = {"configurable": {"thread_id": "t", "checkpoint_id": unknown}}
        for attempt in (
            lambda c=config: recorded.state(graph, c),
            lambda c=config: recorded.run(graph, None, c),
            lambda c=config: recorded.run(graph, {"n": 2}, c),
            lambda c=config: recorded.update(graph, c, {"n": 2}),
        ):
            with pytest.raises(UnknownCheckpointError, match="Thread 't' has no checkpoint"):
                attempt()
    assert len(recorded.history(graph)) == 5


def test_a_checkpoint_of_another_thread_is_not_taken(recorded) -> None:
    graph = chain(recorded)
    recorded.run(graph, {"n": 1}, recorded.config("one"))
    recorded.run(graph, {"n": 2}, recorded.config("two"))
    foreign = recorded.state(graph, recorded.config("two")).config["configurable"]["checkpoint_id"]
    with pytest.raises(UnknownCheckpointError):
        recorded.state(graph, {"configurable": {"thread_id": "one", "checkpoint_id": foreign}})


# -- edits -----------------------------------------------------------------------------------------------


def test_an_edit_goes_on_after_the_node_it_stands_for(recorded) -> None:
    graph = chain(recorded, interrupt_before=["b"])
    recorded.run(graph, {"n": 1})
    recorded.update(graph, recorded.config(), {"log": ["instead of b"]}, as_node="b")
    assert recorded.state(graph).next == ("c",)
    assert recorded.run(graph, None)["log"] == ["a", "instead of b", "c"]


def test_an_edit_without_a_node_stands_for_the_last_one(recorded) -> None:
    graph = chain(recorded, interrupt_before=["b"])
    recorded.run(graph, {"n": 1})
    recorded.update(graph, recorded.config(), {"n": 42})
    state = recorded.state(graph)
    assert (state.next, state.values["n"], state.metadata["source"]) == (("b",), 42, "update")
    assert recorded.run(graph, None) == {"n": 42, "log": ["a", "b", "c"]}


def test_the_first_edit_of_a_thread_stands_for_its_input(recorded) -> None:
    graph = chain(recorded)
    recorded.update(graph, recorded.config(), {"n": 5})
    state = recorded.state(graph)
    assert (state.next, state.metadata["step"]) == (("a",), 0)
    assert recorded.run(graph, None) == {"n": 5, "log": ["a", "b", "c"]}


def test_an_edit_follows_conditional_edges(recorded) -> None:
    builder = recorded.graph([recorded.says("a"), recorded.says("b")], [(START, "a")])
    builder.add_conditional_edges("a", recorded.node(lambda s: "b" if s["n"] > 5 else END))
    graph = recorded.compile(builder)
    recorded.update(graph, recorded.config(), {"n": 9}, as_node="a")
    assert recorded.state(graph).next == ("b",)
    recorded.update(graph, recorded.config("2"), {"n": 1}, as_node="a")
    assert recorded.state(graph, recorded.config("2")).next == ()


def test_an_edit_as_the_end_gives_up_what_is_waiting(recorded) -> None:
    graph = chain(recorded, interrupt_before=["b"])
    recorded.run(graph, {"n": 1})
    recorded.update(graph, recorded.config(), None, as_node=END)
    assert recorded.state(graph).next == ()
    assert recorded.run(graph, None)["log"] == ["a"]


def test_an_edit_as_an_input(recorded) -> None:
    graph = chain(recorded)
    recorded.run(graph, {"n": 1})
    recorded.update(graph, recorded.config(), {"n": 2}, as_node="__input__")
    state = recorded.state(graph)
    assert (state.metadata["source"], state.next) == ("input", ("__start__",))
    assert recorded.run(graph, None) == {"n": 2, "log": ["a", "b", "c"] * 2}


def test_a_checkpoint_is_copied(recorded) -> None:
    graph = chain(recorded, interrupt_before=["b"])
    recorded.run(graph, {"n": 1})
    copy = recorded.update(graph, recorded.config(), None, as_node="__copy__")
    state = recorded.state(graph, copy)
    assert (state.metadata["source"], state.next, state.values) == ("fork", ("b",), {"n": 1, "log": ["a"]})
    assert recorded.run(graph, None)["log"] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("values", "as_node", "words"),
    [
        ({"n": 1}, "nowhere", "Node nowhere does not exist"),
        ({"n": 1}, END, "Node __end__ does not exist"),
        (5, "a", "Expected dict, got 5"),
        ({"log": 5}, "a", "can only concatenate list"),
        (None, "__input__", "Received no input writes"),
        (Command(goto="nowhere"), "a", "goes to unknown node 'nowhere'"),
    ],
    ids=str,
)
def test_edits_that_cannot_be(recorded, values, as_node, words) -> None:
    graph = chain(recorded)
    recorded.run(graph, {"n": 1})
    before = recorded.state(graph)
    with pytest.raises((InvalidUpdateError, TypeError), match=words):
        recorded.update(graph, recorded.config(), values, as_node)
    assert recorded.state(graph) == before


def test_an_edit_that_could_stand_for_several_nodes(recorded) -> None:
    nodes = [recorded.says("a"), recorded.says("b")]
    graph = recorded.compile(recorded.graph(nodes, [(START, "a"), (START, "b")]))
    recorded.run(graph, {"n": 1})
    with pytest.raises(InvalidUpdateError, match="Ambiguous update, specify as_node"):
        recorded.update(graph, recorded.config(), {"n": 2})


# -- refusals ----------------------------------------------------------------------------------------------


def test_a_thread_must_be_named(recorded) -> None:
    graph = chain(recorded)
    for attempt in (
        lambda: recorded.run(graph, {"n": 1}, {"configurable": {}}),
        lambda: recorded.parts(graph, {"n": 1}, {}),
        lambda: recorded.state(graph, {"configurable": {}}),
        lambda: recorded.history(graph, {"configurable": {}}),
        lambda: recorded.update(graph, {"configurable": {}}, {"n": 1}),
    ):
        with pytest.raises(ValueError, match="thread_id"):
            attempt()


def test_without_a_saver_there_is_nothing_to_look_at(world) -> None:
    graph = chain(world)
    if world.saver is not None:
        assert world.state(graph).values == {}
        return
    for attempt in (
        lambda: world.state(graph),
        lambda: world.history(graph),
        lambda: world.update(graph, world.config(), {"n": 1}),
    ):
        with pytest.raises(ValueError, match="No checkpointer set"):
            attempt()


def test_nothing_is_recorded_of_an_input_that_cannot_be(recorded) -> None:
    graph = chain(recorded)
    with pytest.raises(EmptyInputError):
        recorded.run(graph, None)
    recorded.run(graph, {"n": 1})
    with pytest.raises(InvalidUpdateError):
        recorded.run(graph, Command(goto="nowhere"))
    assert len(recorded.history(graph)) == 5


def test_a_value_that_cannot_be_stored_fails_the_step_and_keeps_the_thread(recorded) -> None:
    value = [lambda: 1]
    graph = recorded.compile(recorded.graph([recorded.says("a"), ("b", lambda s: {"n": value[0]})]))
    with pytest.raises(TypeError, match="cannot be stored"):
        recorded.run(graph, {"n": 1})
    assert recorded.state(graph).next == ("b",)
    value[0] = 2
    assert recorded.run(graph, None) == {"n": 2, "log": ["a"]}
