"""Replays of threads in flight, of graphs inside nodes, and of threads with a past: branches, imports."""

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from dashflow.checkpoint.base import empty_checkpoint
from dashflow.errors import UsageError
from dashflow.func import entrypoint, task
from dashflow.graph import START, MessagesState, StateGraph
from dashflow.types import Command, Overwrite, interrupt
from tests.behaviour.replays import SYNC, State, chain, first, replayed, says

pytestmark = [pytest.mark.feature("DBG-01"), pytest.mark.feature("NEW-04")]


# -- threads in flight --------------------------------------------------------------------------------


def asking(world, name: str = "q", question: str = "ok?") -> StateGraph:
    def ask(state: State) -> dict:
        return {"log": [interrupt(question), interrupt("and?")]}

    return world.graph([("a", says("a")), (name, ask), ("z", says("z"))])


def test_a_thread_that_waits_for_an_answer(recorded) -> None:
    builder = asking(recorded)
    recorded.run(recorded.compile(builder), {"n": 1})
    told = replayed(recorded, builder, run=True)
    assert (told.verdict, told.status, told.steps) == ("same", "paused", 2)
    assert first(replayed(recorded, asking(recorded, "q2"))) == ("node", 1, "a")
    recorded.run(recorded.compile(builder), Command(resume="yes"))
    recorded.run(recorded.compile(builder), Command(resume="more"))
    told = replayed(recorded, builder, run=True)
    assert (told.verdict, told.status, told.ran) == ("same", "finished", 3)
    changed = asking(recorded)
    changed.nodes["q"].action = recorded.node(says("nothing asked"))
    assert first(replayed(recorded, changed, run=True)) == ("result", 2, "q")


@SYNC
def test_a_thread_that_stopped_at_a_breakpoint_or_failed(recorded) -> None:
    def fails(state: State) -> dict:
        raise RuntimeError("down")

    builder = recorded.graph([("a", says("a")), ("b", fails), ("c", says("c"))])
    graph = recorded.compile(builder)
    recorded.run(graph, {"n": 1}, interrupt_before=["b"])
    assert (replayed(recorded, builder).verdict, replayed(recorded, builder).status) == ("same", "paused")
    with pytest.raises(RuntimeError, match="down"):
        recorded.run(graph, None)
    assert (replayed(recorded, builder).verdict, replayed(recorded, builder).status) == ("same", "failed")
    assert first(replayed(recorded, chain("a", "b2"))) == ("node", 1, "a")
    mended = chain("a", "b", "c")
    assert replayed(recorded, mended, run=True).verdict == "same"


def test_an_error_handler(recorded) -> None:
    def fails(state: State) -> dict:
        raise RuntimeError("down")

    def mend(state: State) -> dict:
        return {"log": ["mended"]}

    def handled(handler=mend) -> StateGraph:
        builder = StateGraph(State)
        builder.add_node("a", recorded.node(fails), error_handler=handler and recorded.node(handler))
        builder.add_node("b", recorded.node(says("b")))
        builder.add_edge(START, "a")
        return builder

    recorded.run(recorded.compile(handled()), {"n": 1})
    told = replayed(recorded, handled(), run=True)
    assert (told.verdict, told.steps) == ("same", 2)
    assert first(replayed(recorded, handled(None))) == ("handler", 1, "a")


# -- graphs inside --------------------------------------------------------------------------------------


def nested(world, inner: StateGraph, name: str = "in") -> StateGraph:
    return world.graph([("a", says("a")), (name, inner.compile()), ("z", says("z"))])


def test_graphs_inside_are_replayed_by_themselves(recorded) -> None:
    recorded.run(recorded.compile(nested(recorded, asking(recorded))), {"n": 1})
    told = replayed(recorded, nested(recorded, asking(recorded)), run=True)
    assert (told.verdict, told.status, told.steps) == ("same", "paused", 4)
    told = replayed(recorded, nested(recorded, asking(recorded, "q2")))
    assert first(told) == ("node", 1, "a")
    assert told.divergence.ns.startswith("in:")
    assert first(replayed(recorded, nested(recorded, asking(recorded), "other"))) == ("node", 1, "a")
    for answer in ("yes", "more"):
        recorded.run(recorded.compile(nested(recorded, asking(recorded))), Command(resume=answer))
    told = replayed(recorded, nested(recorded, asking(recorded)), run=True)
    assert (told.verdict, told.status) == ("same", "finished")
    assert told.ran == 5
    gone = recorded.graph([("a", says("a")), ("in", says("in")), ("z", says("z"))])
    assert replayed(recorded, gone).unchecked == ("the graph inside 'in', which is not found in this one",)


# -- other sorts of graphs ---------------------------------------------------------------------------------


@SYNC
def test_functions_that_call_tasks(recorded) -> None:
    calls = []

    @task
    def double(n: int) -> int:
        calls.append(n)
        return 2 * n

    @task
    def other(n: int) -> int:
        return n

    def flow(first=double, more: bool = False):
        @entrypoint(checkpointer=recorded.saver)
        def work(n: int, *, previous: int | None = None) -> int:
            total = first(n).result() + (previous or 0)
            return other(total).result() if more else total

        return work

    flow().invoke(3, recorded.config())
    flow().invoke(4, recorded.config())
    told = flow().replay(recorded.config(), run=True)
    assert (told.verdict, told.ran, calls) == ("same", 2, [3, 4])
    told = flow(more=True).replay(recorded.config(), run=True)
    assert first(told)[0] == "error"
    assert "which it did not call then" in told.divergence.present


def test_messages_whose_ids_are_drawn(recorded) -> None:
    def replies(text: str) -> StateGraph:
        def reply(state: MessagesState) -> dict:
            return {"messages": [AIMessage(text)]}

        return recorded.graph([reply], schema=MessagesState)

    recorded.run(recorded.compile(replies("yes")), {"messages": [HumanMessage("hi")]})
    assert replayed(recorded, replies("yes"), run=True).verdict == "same"
    assert first(replayed(recorded, replies("no"), run=True)) == ("result", 1, "reply")


@SYNC
def test_values_put_over_a_reducer_and_a_state_that_nodes_change_in_place(recorded) -> None:
    def change(state: State) -> dict:
        state["log"].append("unseen")
        return {"log": Overwrite([*state["log"][:-1], "new"])}

    builder = recorded.graph([("a", says("a")), ("b", change), ("c", says("c"))])
    recorded.run(recorded.compile(builder), {"n": 1})
    assert replayed(recorded, builder, run=True).verdict == "same"
    assert replayed(recorded, builder, run=True).verdict == "same"


def test_messages_whose_ids_a_reducer_draws(recorded) -> None:
    def both(last: str = "two") -> StateGraph:
        nodes = [(name, lambda state, name=name: {"messages": [AIMessage(name)]}) for name in ("one", last)]
        return recorded.graph(
            [*nodes, ("z", lambda state: {"messages": ("ai", str(len(state["messages"])))})],
            [(START, "one"), (START, last), ("one", "z")],
            schema=MessagesState,
        )

    recorded.run(recorded.compile(both()), {"messages": ("human", "hi")})
    recorded.run(recorded.compile(both()), {"messages": ("human", "again")})
    told = replayed(recorded, both(), run=True)
    assert (told.verdict, told.steps, told.unchecked) == ("same", 6, ())


@SYNC
def test_a_thread_that_was_deleted(recorded) -> None:
    builder = chain("a", "b")
    graph = recorded.compile(builder)
    recorded.run(graph, {"n": 1})
    recorded.saver.delete_thread("t")
    with pytest.raises(UsageError, match="no thread 't'"):
        graph.replay(recorded.config())


# -- branches, travels, shortened and imported threads ----------------------------------------------------


@SYNC
def test_branches_and_runs_from_old_checkpoints(recorded) -> None:
    builder = chain("a", "b", "c")
    graph = recorded.compile(builder)
    recorded.run(graph, {"n": 1})
    branch = graph.create_branch(recorded.config(), "draft")
    recorded.run(graph, {"n": 2}, branch.config)
    old = next(state for state in recorded.history(graph) if state.next == ("b",))
    recorded.run(graph, None, old.config)
    for config in (recorded.config(), {"configurable": {"thread_id": branch.thread_id}}):
        assert graph.replay(config, run=True).verdict == "same"
        assert first(recorded.compile(chain("a", "c")).replay(config)) == ("node", 1, "a")


@SYNC
def test_a_thread_whose_beginning_was_dropped(recorded) -> None:
    builder = chain("a", "b", "c")
    graph = recorded.compile(builder)
    for n in range(4):
        recorded.run(graph, {"n": n})
    recorded.saver.prune(["t"], strategy="keep_latest")
    recorded.run(graph, {"n": 9})
    recorded.reopen()
    told = replayed(recorded, builder, run=True)
    assert (told.verdict, told.status) == ("same", "finished")
    assert told.steps >= 4
    assert first(replayed(recorded, chain("a", "b2", "c")))[0] == "node"


@SYNC
def test_an_imported_thread_is_said_to_be_one(recorded) -> None:
    checkpoint = {**empty_checkpoint(), "channel_values": {"n": 1}, "channel_versions": {"n": 1}}
    place = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
    recorded.saver.put(place, checkpoint, {"source": "input", "step": -1, "parents": {}}, {"n": 1})
    told = replayed(recorded, chain("a", "b"))
    assert (told.verdict, told.steps, told.divergence) == ("not_replayable", 0, None)
    assert "imported" in told.reason


@SYNC
def test_what_cannot_be_replayed_at_all(recorded) -> None:
    builder = chain("a", "b")
    graph = recorded.compile(builder)
    with pytest.raises(UsageError, match="no thread 'nowhere'"):
        graph.replay(recorded.config("nowhere"))
    recorded.run(graph, {"n": 1})
    with pytest.raises(UsageError, match="no node 'x' to run"):
        graph.replay(recorded.config(), run=["x"])
    with pytest.raises(UsageError, match="leave checkpoint_ns and checkpoint_id out"):
        graph.replay(recorded.history(graph)[0].config)
    with pytest.raises(ValueError, match="No checkpointer"):
        builder.compile().replay(recorded.config())
