"""The list of a thread's checkpoints: for timelines, without the values. On every host."""

import operator
from typing import Annotated, TypedDict

import pytest

from dashflow.checkpoint.memory import InMemorySaver
from dashflow.graph import START, StateGraph
from dashflow.types import Command, Send, interrupt

pytestmark = pytest.mark.feature("RUN-13")


class Theirs(InMemorySaver):
    """A subclass may have changed any method, so that it is driven by its methods."""


def listed(world, graph, thread="t", **options):
    if world.kind != "asyncio":
        return list(graph.get_checkpoints(thread, **options))

    async def collect():
        return [info async for info in graph.aget_checkpoints(thread, **options)]

    return world._runner.run(collect())


def chain(world):
    return world.compile(world.graph([world.says("a"), world.says("b"), world.says("c")]))


def test_the_list_says_what_the_history_says(recorded) -> None:
    graph = chain(recorded)
    recorded.run(graph, {"n": 1}, recorded.config(metadata={"user": "x"}))
    recorded.run(graph, {"n": 2}, recorded.config(metadata={"user": "y"}))
    history, infos = recorded.history(graph), listed(recorded, graph)
    assert [i.config for i in infos] == [s.config for s in history]
    assert [(i.step, i.source, i.next, i.created_at) for i in infos] == [
        (s.metadata["step"], s.metadata["source"], s.next, s.created_at) for s in history
    ]
    parents = [s.parent_config and s.parent_config["configurable"]["checkpoint_id"] for s in history]
    assert [i.parent_id for i in infos] == parents
    assert {i.branch for i in infos} == {None}
    assert len({i.run_id for i in infos}) == 2
    assert {i.run_id for i in infos[5:]} == {infos[9].run_id}
    assert listed(recorded, graph, recorded.config()) == infos
    assert listed(recorded, graph, filter={"user": "x"}) == infos[5:]
    assert listed(recorded, graph, limit=3) == infos[:3]
    assert listed(recorded, graph, limit=0) == []
    assert listed(recorded, graph, before=infos[3].id, limit=2) == infos[4:6]
    assert listed(recorded, graph, before=infos[3].config) == infos[4:]
    assert listed(recorded, graph, "unknown") == []


def test_a_savers_own_list_needs_no_graph(recorded) -> None:
    graph = chain(recorded)
    recorded.run(graph, {"n": 1})
    assert list(recorded.saver.get_checkpoints("t")) == listed(recorded, graph)


def test_graphs_inside_are_listed_when_asked_for(recorded) -> None:
    def ask(state):
        return {"log": [interrupt("?")]}

    inner = recorded.graph([recorded.says("one"), ask]).compile()
    graph = recorded.compile(recorded.graph([recorded.says("a"), ("inner", inner)]))
    recorded.run(graph, {"n": 1})
    outer, every = listed(recorded, graph), listed(recorded, graph, subgraphs=True)
    assert [i for i in every if not i.ns] == outer
    inside = [i for i in every if i.ns]
    assert [i.next for i in inside] == [("ask",), ("one",), ("__start__",)]
    assert {i.ns.split(":")[0] for i in inside} == {"inner"}
    assert [i.id for i in every] == sorted((i.id for i in every), reverse=True)
    assert listed(recorded, graph, inside[0].config) == inside


def test_a_branch_lists_what_it_began_with_and_says_where_it_was_made(recorded) -> None:
    graph = chain(recorded)
    recorded.run(graph, {"n": 1})
    if recorded.kind == "asyncio":
        branch = recorded._runner.run(graph.acreate_branch(recorded.config(), "draft"))
    else:
        branch = graph.create_branch(recorded.config(), "draft")
    recorded.update(graph, branch.config, {"log": ["d"]})
    infos = listed(recorded, graph, branch.thread_id)
    assert [i.branch for i in infos] == ["draft", *[None] * 5]
    assert [i.id for i in infos[1:]] == [i.id for i in listed(recorded, graph)]


@pytest.mark.parametrize("saver", [InMemorySaver, Theirs])
def test_joins_and_packets_are_told_by_any_saver(saver) -> None:
    class State(TypedDict):
        log: Annotated[list, operator.add]

    builder = StateGraph(State)
    for name in ("a", "b", "c", "d"):
        builder.add_node(name, lambda state, name=name: {"log": [name]})
    builder.add_edge(START, "a")
    builder.add_edge(START, "b")
    builder.add_edge(["a", "b"], "c")
    builder.add_conditional_edges("c", lambda state: [Send("d", state), Send("d", state)])
    kept = saver()
    graph = builder.compile(checkpointer=kept)
    graph.invoke({"log": []}, {"configurable": {"thread_id": "t"}})
    found = [("d", "d"), ("c",), ("a", "b"), ("__start__",)]
    assert [info.next for info in graph.get_checkpoints("t")] == [(), *found]
    assert [info.next for info in kept.get_checkpoints("t")] == [(), *found]


def test_what_made_a_checkpoint_is_not_who_goes_on_from_it(recorded) -> None:
    def ask(state):
        return {"log": [interrupt("?")]}

    graph = recorded.compile(recorded.graph([recorded.says("a"), ask]))
    recorded.run(graph, {"n": 1})
    recorded.run(graph, Command(resume="yes"))
    runs = [info.run_id for info in listed(recorded, graph)]
    assert len(set(runs)) == 2
    assert runs[1:] == [runs[1]] * 3


def test_without_a_checkpointer_there_is_nothing_to_list(recorded) -> None:
    graph = recorded.graph([recorded.says("a")]).compile()
    with pytest.raises(ValueError, match="No checkpointer set"):
        listed(recorded, graph)
