"""Branches: a thread goes on in two ways at once; they are compared, merged and deleted. On every host."""

import pytest

from dashflow.errors import (
    BranchExistsError,
    MergeConflictError,
    OwnershipConflictError,
    UnknownBranchError,
    UnknownCheckpointError,
    UnrelatedThreadsError,
    UsageError,
)
from dashflow.log.base import Append
from dashflow.types import Command, Overwrite, interrupt

pytestmark = pytest.mark.feature("RUN-14")


def chain(world, **options):
    return world.compile(world.graph([world.says("a"), world.says("b"), world.says("c")]), **options)


def asking(world):
    """A graph that asks in its second node."""

    def ask(state):
        return {"log": [interrupt({"seen": len(state["log"])})]}

    return world.compile(world.graph([world.says("a"), ask, world.says("z")]))


def do(world, graph, method, *args, **more):
    """A method of the graph, as the host wants it."""
    if world.kind != "asyncio":
        return getattr(graph, method)(*args, **more)
    return world._runner.run(getattr(graph, f"a{method}")(*args, **more))


def fork(world, graph, name="draft", config=None):
    return do(world, graph, "create_branch", config or world.config(), name)


def values(world, graph, config=None):
    return world.state(graph, config).values


def stored(world):
    """How many bytes of events there are."""
    return sum(len(record.data) for record in world.saver.log.read_all())


# -- beginning -------------------------------------------------------------------------------------


def test_a_branch_begins_where_the_thread_is_and_shows_what_led_there(recorded) -> None:
    graph = chain(recorded)
    recorded.run(graph, {"n": 1})
    before = recorded.history(graph)
    branch = fork(recorded, graph)
    assert (branch.name, branch.parent, branch.checkpoint_id) == (
        "draft",
        "t",
        before[0].config["configurable"]["checkpoint_id"],
    )
    inside = recorded.history(graph, branch.config)
    assert [(s.values, s.next, s.metadata) for s in inside] == [
        (s.values, s.next, s.metadata) for s in before
    ]
    names = [s.config["configurable"] for s in inside]
    assert [n["checkpoint_id"] for n in names] == [s.config["configurable"]["checkpoint_id"] for s in before]
    assert {n["thread_id"] for n in names} == {branch.thread_id}
    assert recorded.history(graph) == before


def test_thread_and_branch_go_on_apart(recorded) -> None:
    graph = chain(recorded)
    recorded.run(graph, {"n": 1})
    branch = fork(recorded, graph)
    recorded.run(graph, {"n": 2}, branch.config)
    recorded.run(graph, {"n": 3})
    recorded.reopen()
    graph = chain(recorded)
    assert values(recorded, graph) == {"n": 3, "log": ["a", "b", "c"] * 2}
    assert values(recorded, graph, branch.config) == {"n": 2, "log": ["a", "b", "c"] * 2}
    recorded.update(graph, branch.config, {"log": ["edit"]})
    assert values(recorded, graph, branch.config)["log"][-1] == "edit"
    assert len(recorded.history(graph)) == 10
    assert len(recorded.history(graph, branch.config)) == 11


def test_a_branch_costs_one_small_event_however_long_the_thread_is(recorded) -> None:
    graph = chain(recorded)
    for _ in range(10):
        recorded.run(graph, {"n": 1, "log": ["x" * 1000]})
    size, count = stored(recorded), len(recorded.saver.log.read_all())
    fork(recorded, graph)
    assert len(recorded.saver.log.read_all()) == count + 1
    assert stored(recorded) - size < 200


def test_a_branch_from_an_old_checkpoint_leaves_out_what_came_after(recorded) -> None:
    graph = chain(recorded)
    recorded.run(graph, {"n": 1})
    old = next(s for s in recorded.history(graph) if s.next == ("b",))
    branch = fork(recorded, graph, config=old.config)
    assert recorded.state(graph, branch.config).next == ("b",)
    assert [s.next for s in recorded.history(graph, branch.config)] == [("b",), ("a",), ("__start__",)]
    assert recorded.run(graph, None, branch.config)["log"] == ["a", "b", "c"]
    assert len(recorded.history(graph)) == 5


def test_time_travel_inside_a_branch_to_before_it_began(recorded) -> None:
    graph = chain(recorded)
    recorded.run(graph, {"n": 1})
    branch = fork(recorded, graph)
    recorded.run(graph, {"n": 2}, branch.config)
    past = recorded.history(graph, branch.config)
    old = next(s for s in past if s.next == ("c",) and len(s.values["log"]) == 2)
    assert recorded.state(graph, old.config).values == old.values
    assert recorded.run(graph, None, old.config)["log"] == ["a", "b", "c"]
    assert values(recorded, graph, branch.config)["log"] == ["a", "b", "c"]
    recorded.update(graph, old.config, {"log": ["B"]}, "b")
    recorded.reopen()
    graph = chain(recorded)
    assert recorded.run(graph, None, branch.config)["log"] == ["a", "b", "B", "c"]
    assert values(recorded, graph)["log"] == ["a", "b", "c"]


def test_an_open_question_is_open_in_both(recorded) -> None:
    graph = asking(recorded)
    recorded.run(graph, {"n": 1})
    branch = fork(recorded, graph)
    mine, theirs = recorded.state(graph), recorded.state(graph, branch.config)
    assert mine.interrupts == theirs.interrupts
    assert theirs.interrupts[0].value == {"seen": 1}
    answer = Command(resume={theirs.interrupts[0].id: "left"})
    assert recorded.run(graph, answer, branch.config)["log"] == ["a", "left", "z"]
    assert recorded.state(graph).next == ("ask",)
    assert recorded.run(graph, Command(resume="right"))["log"] == ["a", "right", "z"]


def test_an_answered_question_is_open_again_in_a_branch_from_there(recorded) -> None:
    graph = asking(recorded)
    recorded.run(graph, {"n": 1})
    recorded.run(graph, Command(resume="right"))
    asked = next(s for s in recorded.history(graph) if s.next == ("ask",))
    branch = fork(recorded, graph, config=asked.config)
    assert recorded.state(graph, branch.config).interrupts == asked.interrupts
    assert recorded.run(graph, Command(resume="left"), branch.config)["log"] == ["a", "left", "z"]
    assert values(recorded, graph)["log"] == ["a", "right", "z"]


@pytest.mark.parametrize("keeps", [None, True])
def test_graphs_inside_have_threads_of_their_own_in_a_branch(recorded, keeps) -> None:
    def ask(state):
        return {"log": [interrupt("inner?")]}

    builder = recorded.graph([recorded.says("one"), ask])
    inner = recorded.compile(builder) if keeps is None else builder.compile(checkpointer=True)
    if keeps is None:
        inner = builder.compile()
    graph = recorded.compile(recorded.graph([recorded.says("a"), ("inner", inner), recorded.says("z")]))
    recorded.run(graph, {"n": 1})
    branch = fork(recorded, graph)
    assert [i.value for i in recorded.state(graph, branch.config).interrupts] == ["inner?"]
    there = do(recorded, graph, "get_state", branch.config, subgraphs=True).tasks[0].state
    assert there.next == ("ask",)
    left = recorded.run(graph, Command(resume="left"), branch.config)["log"]
    assert left[-2:] == ["left", "z"]
    assert recorded.state(graph).next == ("inner",)
    right = recorded.run(graph, Command(resume="right"))["log"]
    assert right == [*left[:-2], "right", "z"]


def test_a_branch_of_a_branch(recorded) -> None:
    graph = chain(recorded)
    recorded.run(graph, {"n": 1})
    one = fork(recorded, graph, "one")
    recorded.update(graph, one.config, {"log": ["in one"]})
    two = fork(recorded, graph, "two", one.config)
    recorded.update(graph, two.config, {"log": ["in two"]})
    recorded.reopen()
    graph = chain(recorded)
    assert values(recorded, graph, two.config)["log"] == ["a", "b", "c", "in one", "in two"]
    assert len(recorded.history(graph, two.config)) == 7
    listed = do(recorded, graph, "list_branches", recorded.config())
    assert [(b.name, b.parent, b.head_step - b.step) for b in listed] == [
        ("one", "t", 1),
        ("two", one.thread_id, 1),
    ]


def test_checkpoints_with_durability_exit(recorded) -> None:
    graph = chain(recorded)
    recorded.run(graph, {"n": 1}, durability="exit")
    branch = fork(recorded, graph)
    recorded.run(graph, {"n": 2}, branch.config, durability="exit")
    assert [s.metadata["step"] for s in recorded.history(graph, branch.config)] == [8, 3]
    assert [s.metadata["step"] for s in recorded.history(graph)] == [3]


@pytest.mark.parametrize("name", ["", "a b", "a/b", "~x", ".x", "x" * 101, "a\n", None])
def test_a_name_that_is_none(recorded, name) -> None:
    graph = chain(recorded)
    recorded.run(graph, {"n": 1})
    with pytest.raises(UsageError, match="cannot be a branch's name"):
        fork(recorded, graph, name)


def test_what_cannot_be_begun(recorded) -> None:
    graph = chain(recorded)
    with pytest.raises(UsageError, match="no checkpoint where a branch could begin"):
        fork(recorded, graph)
    recorded.run(graph, {"n": 1})
    fork(recorded, graph)
    count = len(recorded.saver.log.read_all())
    with pytest.raises(BranchExistsError, match="'draft' already"):
        fork(recorded, graph)
    wrong = recorded.config()
    wrong["configurable"]["checkpoint_id"] = "1efc0000-0000-6000-8000-000000000000"
    with pytest.raises(UnknownCheckpointError):
        fork(recorded, graph, "other", wrong)
    with pytest.raises(UnknownBranchError, match="its branches are the threads t~draft"):
        do(recorded, graph, "delete_branch", recorded.config(), "none")
    inside = recorded.config()
    inside["configurable"]["checkpoint_ns"] = "inner"
    with pytest.raises(UsageError, match="Branches are of whole threads"):
        fork(recorded, graph, "other", inside)
    assert len(recorded.saver.log.read_all()) == count


def test_a_thread_whose_id_only_looks_like_a_branch(recorded) -> None:
    graph = chain(recorded)
    recorded.run(graph, {"n": 1})
    other = recorded.config("t~draft")
    recorded.run(graph, {"n": 7}, other)
    branch = fork(recorded, graph)
    assert branch.thread_id == "t~draft.2"
    assert [b.thread_id for b in do(recorded, graph, "list_branches", recorded.config())] == ["t~draft.2"]
    assert values(recorded, graph, other)["n"] == 7
    assert values(recorded, graph, branch.config)["n"] == 1


# -- deleting --------------------------------------------------------------------------------------


def test_a_deleted_branch_is_gone_and_what_began_in_it_stays(recorded) -> None:
    graph = chain(recorded)
    recorded.run(graph, {"n": 1})
    one = fork(recorded, graph, "one")
    recorded.update(graph, one.config, {"log": ["in one"]})
    two = fork(recorded, graph, "two", one.config)
    do(recorded, graph, "delete_branch", recorded.config(), "one")
    recorded.reopen()
    graph = chain(recorded)
    assert recorded.state(graph, one.config).values == {}
    assert recorded.history(graph, one.config) == []
    assert [b.name for b in do(recorded, graph, "list_branches", recorded.config())] == ["two"]
    assert recorded.run(graph, {"n": 2}, two.config)["log"] == ["a", "b", "c", "in one", "a", "b", "c"]
    again = fork(recorded, graph, "one")
    assert again.thread_id != one.thread_id
    assert values(recorded, graph, again.config)["log"] == ["a", "b", "c"]


def test_a_deleted_thread_takes_its_branches_along(recorded) -> None:
    """What a branch began with is the thread's: whoever deletes that means all of it."""
    graph = chain(recorded)
    recorded.run(graph, {"n": 1})
    branch = fork(recorded, graph)
    saver = recorded.saver
    saver.delete_thread("t") if recorded._runner is None else recorded._runner.run(saver.adelete_thread("t"))
    recorded.reopen()
    graph = chain(recorded)
    assert recorded.state(graph).values == {}
    assert values(recorded, graph, branch.config) == {}
    assert recorded.run(graph, {"n": 2})["log"] == ["a", "b", "c"]


def test_history_that_branches_go_on_from_is_not_dropped(recorded) -> None:
    graph = chain(recorded)
    recorded.run(graph, {"n": 1})
    branch = fork(recorded, graph)
    recorded.run(graph, {"n": 2})
    assert recorded.saver.retain("t", checkpoints=1) > 0
    assert recorded.saver.retain(branch.thread_id, checkpoints=1) > 0
    recorded.reopen()
    graph = chain(recorded)
    assert len(recorded.history(graph)) == 1
    assert len(recorded.history(graph, branch.config)) == 1
    assert values(recorded, graph, branch.config)["log"] == ["a", "b", "c"]
    assert recorded.run(graph, {"n": 3}, branch.config)["log"] == ["a", "b", "c"] * 2


def test_nothing_is_merged_into_or_deleted_while_it_runs(recorded) -> None:
    graph = chain(recorded)
    recorded.run(graph, {"n": 1})
    branch = fork(recorded, graph)
    recorded.update(graph, branch.config, {"log": ["more"]})
    log = recorded.saver.log
    for thread in ("t", branch.thread_id):
        owner = f"{log.instance}/somebody"
        log.append(Append(f"run-{thread}", owner=owner, claim=True))
    with pytest.raises(OwnershipConflictError):
        do(recorded, graph, "merge_branch", recorded.config(), "draft")
    with pytest.raises(OwnershipConflictError):
        do(recorded, graph, "delete_branch", recorded.config(), "draft")
    assert values(recorded, graph, branch.config)["log"] == ["a", "b", "c", "more"]
    assert values(recorded, graph)["log"] == ["a", "b", "c"]


# -- comparing and merging ---------------------------------------------------------------------------


def merge(world, graph, source="draft", config=None, **more):
    return do(world, graph, "merge_branch", config or world.config(), source, **more)


def test_what_differs_is_told_item_by_item(recorded) -> None:
    graph = chain(recorded)
    recorded.run(graph, {"n": 1})
    branch = fork(recorded, graph)
    assert not do(recorded, graph, "compare_branches", recorded.config(), "draft")
    recorded.update(graph, branch.config, {"n": 5, "log": ["d"]})
    found = do(recorded, graph, "compare_branches", recorded.config(), "draft")
    assert found.changes["n"].kind == "changed"
    assert (found.changes["n"].before, found.changes["n"].after) == (1, 5)
    assert [(i.kind, i.at, i.after) for i in found.changes["log"].items] == [("added", 3, "d")]
    assert found.base["configurable"]["checkpoint_id"] == branch.checkpoint_id
    assert found.apply(values(recorded, graph)) == values(recorded, graph, branch.config)
    back = do(recorded, graph, "compare_branches", branch.config, recorded.config())
    assert back.apply(values(recorded, graph, branch.config)) == values(recorded, graph)


def test_a_merge_takes_what_one_side_changed_and_reduces_what_both_did(recorded) -> None:
    graph = chain(recorded)
    recorded.run(graph, {"n": 1})
    branch = fork(recorded, graph)
    recorded.run(graph, {"n": 2}, branch.config)
    recorded.update(graph, recorded.config(), {"log": ["mine"]})
    done = merge(recorded, graph)
    assert (done.taken, done.reduced, done.resolved) == (("n",), ("log",), ())
    recorded.reopen()
    graph = chain(recorded)
    state = recorded.state(graph)
    assert state.values == {"n": 2, "log": ["a", "b", "c", "mine", "a", "b", "c"]}
    assert state.config == done.config
    assert (state.metadata["source"], state.metadata["merged_from"]) == ("merge", branch.thread_id)
    assert state.next == ()
    assert values(recorded, graph, branch.config)["log"] == ["a", "b", "c"] * 2
    assert recorded.run(graph, {"n": 3})["log"][-4:] == ["c", "a", "b", "c"]


def test_what_was_merged_is_not_merged_again(recorded) -> None:
    graph = chain(recorded)
    recorded.run(graph, {"n": 1})
    branch = fork(recorded, graph)
    recorded.update(graph, branch.config, {"log": ["d1"]})
    recorded.update(graph, recorded.config(), {"log": ["m1"]})
    first = merge(recorded, graph)
    again = merge(recorded, graph)
    assert (again.config, again.taken, again.reduced) == (first.config, (), ())
    recorded.update(graph, branch.config, {"log": ["d2"]})
    merge(recorded, graph)
    assert values(recorded, graph)["log"] == ["a", "b", "c", "m1", "d1", "d2"]
    merge(recorded, graph, recorded.config(), branch.config)
    recorded.update(graph, branch.config, {"log": ["d3"]})
    assert values(recorded, graph, branch.config)["log"] == ["a", "b", "c", "m1", "d1", "d2", "d3"]
    merge(recorded, graph)
    assert values(recorded, graph)["log"] == ["a", "b", "c", "m1", "d1", "d2", "d3"]


def test_siblings_are_merged_with_each_other(recorded) -> None:
    graph = chain(recorded)
    recorded.run(graph, {"n": 1})
    one, two = fork(recorded, graph, "one"), fork(recorded, graph, "two")
    recorded.update(graph, one.config, {"log": ["1"]})
    recorded.update(graph, two.config, {"log": ["2"]})
    merge(recorded, graph, two, one.config)
    assert values(recorded, graph, one.config)["log"] == ["a", "b", "c", "1", "2"]
    merge(recorded, graph, "two")
    merge(recorded, graph, "one")
    assert values(recorded, graph)["log"] == ["a", "b", "c", "1", "2"]


def test_a_conflict_is_refused_or_resolved(recorded) -> None:
    graph = chain(recorded)
    recorded.run(graph, {"n": 1})
    branch = fork(recorded, graph)
    recorded.update(graph, branch.config, {"n": 5, "log": ["d"]})
    recorded.update(graph, recorded.config(), {"n": 7})
    count = len(recorded.saver.log.read_all())
    with pytest.raises(MergeConflictError, match="both changed n") as caught:
        merge(recorded, graph)
    assert caught.value.keys == ("n",)
    assert len(recorded.saver.log.read_all()) == count
    asked = []

    def resolve(*given):
        asked.append(given)
        return max(given[2:])

    done = merge(recorded, graph, resolve=resolve)
    assert asked == [("n", 1, 7, 5)]
    assert done.taken == ("log",)
    assert values(recorded, graph) == {"n": 7, "log": ["a", "b", "c", "d"]}


def test_an_overwrite_in_the_branch_does_not_throw_away_the_other_side_silently(recorded) -> None:
    graph = chain(recorded)
    recorded.run(graph, {"n": 1})
    branch = fork(recorded, graph)
    recorded.update(graph, branch.config, {"log": Overwrite(["new"])})
    recorded.update(graph, recorded.config(), {"log": ["mine"]})
    with pytest.raises(MergeConflictError):
        merge(recorded, graph)


def test_writes_of_tasks_beside_each_other_are_merged_in_their_order(recorded) -> None:
    def beside(world):
        builder = world.graph([world.says("a"), world.says("b")], [("__start__", "a"), ("__start__", "b")])
        return world.compile(builder)

    graph = beside(recorded)
    recorded.run(graph, {"n": 1})
    branch = fork(recorded, graph)
    recorded.run(graph, {"n": 1}, branch.config)
    recorded.update(graph, recorded.config(), {"log": ["mine"]}, "a")
    merge(recorded, graph)
    assert values(recorded, graph)["log"] == ["a", "b", "mine", "a", "b"]


def test_a_merge_leaves_what_is_to_run_next(recorded) -> None:
    graph = asking(recorded)
    recorded.run(graph, {"n": 1})
    branch = fork(recorded, graph)
    recorded.run(graph, Command(resume="left", update={"log": ["told"]}), branch.config)
    merge(recorded, graph)
    assert recorded.state(graph).next == ("ask",)
    recorded.run(graph, None)
    assert recorded.run(graph, Command(resume="right"))["log"] == ["a", "told", "left", "z", "right", "z"]


def test_threads_that_have_nothing_in_common(recorded) -> None:
    graph = chain(recorded)
    recorded.run(graph, {"n": 1})
    recorded.run(graph, {"n": 1}, recorded.config("other"))
    with pytest.raises(UnrelatedThreadsError):
        merge(recorded, graph, recorded.config("other"))
    assert do(recorded, graph, "compare_branches", recorded.config(), recorded.config("other")).base is None
