"""Branches in savers of somebody else's, by the methods that LangGraph's savers have."""

import operator
from typing import Annotated, TypedDict

import pytest

from dashflow.checkpoint.base import BaseCheckpointSaver
from dashflow.checkpoint.memory import InMemorySaver
from dashflow.errors import BranchesUnsupportedError, BranchExistsError, MergeConflictError
from dashflow.graph import START, StateGraph
from dashflow.types import Command, interrupt

pytestmark = pytest.mark.feature("RUN-14")

THREAD = {"configurable": {"thread_id": "t"}}


class State(TypedDict, total=False):
    n: int
    log: Annotated[list, operator.add]


class Theirs(InMemorySaver):
    """A subclass may have changed any method, so that it is driven by its methods."""


class WithoutList(Theirs):
    def list(self, config, **more):
        raise NotImplementedError


class WithoutDelete(Theirs):
    def delete_thread(self, thread_id):
        raise NotImplementedError


def ask(state):
    return {"log": [interrupt("which?")], "n": state["n"] + 1}


def asking(saver, inside=False):
    """A graph that asks in its second node, or in a graph inside of that."""
    inner = StateGraph(State)
    inner.add_node("ask", ask)
    inner.add_edge(START, "ask")
    builder = StateGraph(State)
    builder.add_node("a", lambda state: {"log": ["a"]})
    builder.add_node("ask", inner.compile() if inside else ask)
    builder.add_node("z", lambda state: {"log": ["z"]})
    builder.add_edge(START, "a")
    builder.add_edge("a", "ask")
    builder.add_edge("ask", "z")
    return builder.compile(checkpointer=saver)


def test_a_graph_inside_has_a_thread_of_its_own_in_a_branch():
    graph = asking(Theirs(), inside=True)
    graph.invoke({"n": 1}, THREAD)
    branch = graph.create_branch(THREAD, "draft")
    assert graph.get_state(branch.config, subgraphs=True).tasks[0].state.next == ("ask",)
    assert graph.invoke(Command(resume="left"), branch.config)["log"][-2:] == ["left", "z"]
    assert graph.get_state(THREAD).next == ("ask",)
    assert graph.invoke(Command(resume="right"), THREAD)["log"][-2:] == ["right", "z"]


def test_a_branch_is_a_copy_and_goes_on_by_itself():
    graph = asking(Theirs())
    graph.invoke({"n": 1}, THREAD)
    branch = graph.create_branch(THREAD, "draft")
    assert graph.get_state(branch.config).interrupts == graph.get_state(THREAD).interrupts
    assert graph.invoke(Command(resume="left"), branch.config)["log"] == ["a", "left", "z"]
    assert graph.get_state(THREAD).next == ("ask",)
    assert graph.invoke(Command(resume="right"), THREAD)["log"] == ["a", "right", "z"]
    assert [s.next for s in graph.get_state_history(branch.config)] == [
        s.next for s in graph.get_state_history(THREAD)
    ]
    with pytest.raises(BranchExistsError):
        graph.create_branch(THREAD, "draft")


def test_a_branch_from_an_old_checkpoint():
    graph = asking(Theirs())
    graph.invoke({"n": 1}, THREAD)
    graph.invoke(Command(resume="right"), THREAD)
    asked = next(s for s in graph.get_state_history(THREAD) if s.next == ("ask",))
    branch = graph.create_branch(asked.config, "old")
    assert graph.get_state(branch.config).interrupts == asked.interrupts
    assert graph.invoke(Command(resume="left"), branch.config)["log"] == ["a", "left", "z"]
    assert graph.get_state(THREAD).values["log"] == ["a", "right", "z"]


def test_compare_merge_list_and_delete():
    graph = asking(Theirs())
    graph.invoke({"n": 1}, THREAD)
    branch = graph.create_branch(THREAD, "draft")
    inner = graph.create_branch(branch.config, "inner")
    graph.invoke(Command(resume="left"), branch.config)
    graph.invoke(Command(resume="right"), THREAD)
    found = graph.compare_branches(THREAD, "draft")
    assert found.apply(graph.get_state(THREAD).values) == graph.get_state(branch.config).values
    assert graph.merge_branch(THREAD, "draft").reduced == ("log",)
    assert graph.merge_branch(THREAD, "draft").reduced == ()
    assert graph.get_state(THREAD).values == {"n": 2, "log": ["a", "right", "z", "left", "z"]}
    assert graph.get_state(THREAD).metadata["source"] == "merge"
    graph.update_state(branch.config, {"n": 8, "log": ["more"]})
    graph.update_state(THREAD, {"n": 9})
    with pytest.raises(MergeConflictError):
        graph.merge_branch(THREAD, "draft")
    graph.merge_branch(THREAD, "draft", resolve=lambda key, base, ours, theirs: [base, ours, theirs])
    assert graph.get_state(THREAD).values == {"n": [2, 9, 8], "log": ["a", "right", "z", "left", "z", "more"]}
    assert [(b.name, b.parent) for b in graph.list_branches(THREAD)] == [("draft", "t"), ("inner", "t~draft")]
    graph.delete_branch(branch.config, "inner")
    assert [b.name for b in graph.list_branches(THREAD)] == ["draft"]
    assert graph.get_state(inner.config).values == {}


async def test_on_asyncio():
    graph = asking(Theirs())
    await graph.ainvoke({"n": 1}, THREAD)
    branch = await graph.acreate_branch(THREAD, "draft")
    await graph.ainvoke(Command(resume="left"), branch.config)
    await graph.aupdate_state(THREAD, {"log": ["mine"]}, "a")
    assert (await graph.amerge_branch(THREAD, "draft")).reduced == ("log",)
    assert (await graph.aget_state(THREAD)).values["log"] == ["a", "mine", "left", "z"]
    assert [b.name for b in await graph.alist_branches(THREAD)] == ["draft"]
    await graph.adelete_branch(THREAD, "draft")
    assert await graph.alist_branches(THREAD) == []


def test_a_saver_that_cannot_says_what_it_lacks():
    graph = asking(WithoutList())
    graph.invoke({"n": 1}, THREAD)
    with pytest.raises(BranchesUnsupportedError, match=r"WithoutList does not implement list\(\)"):
        graph.create_branch(THREAD, "draft")
    graph = asking(WithoutDelete())
    graph.invoke({"n": 1}, THREAD)
    graph.create_branch(THREAD, "draft")
    with pytest.raises(BranchesUnsupportedError, match=r"WithoutDelete does not implement delete_thread\(\)"):
        graph.delete_branch(THREAD, "draft")
    assert issubclass(WithoutDelete, BaseCheckpointSaver)
