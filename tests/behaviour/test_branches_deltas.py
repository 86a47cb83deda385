"""Branches of threads with channels that keep their updates, also where what is stored is encrypted."""

from typing import Annotated, TypedDict

import pytest

from dashflow.channels.delta import DeltaChannel
from dashflow.checkpoint.memory import InMemorySaver
from dashflow.checkpoint.serde.encrypted import EncryptedSerializer
from dashflow.graph import START, StateGraph

pytestmark = pytest.mark.feature("RUN-14")


def joined(value, updates):
    return [*value, *(item for update in updates for item in update)]


class State(TypedDict, total=False):
    log: Annotated[list, DeltaChannel(joined, list, snapshot_frequency=3)]


class Theirs(InMemorySaver):
    """A subclass may have changed any method, so that it is driven by its methods."""


def encrypted():
    return InMemorySaver(serde=EncryptedSerializer.from_pycryptodome_aes(key=b"0" * 16))


def told(saver, config):
    """The channel's value as whoever repeats the saver's writes gets it."""
    shown = saver.get_tuple(config).checkpoint["channel_values"].get("log")
    if shown is not None:
        return getattr(shown, "value", shown)
    history = saver.get_delta_channel_history(config=config, channels=["log"])["log"]
    channel = DeltaChannel(joined, list).from_checkpoint(history.get("seed", []))
    channel.replay_writes(history["writes"])
    return channel.get()


@pytest.mark.parametrize("make", [InMemorySaver, encrypted, Theirs])
def test_a_branch_and_a_merge_tell_the_same_values_as_the_states_have(make):
    saver = make()
    builder = StateGraph(State)
    builder.add_node("a", lambda state: {"log": ["a"]})
    builder.add_edge(START, "a")
    graph = builder.compile(checkpointer=saver)
    thread = {"configurable": {"thread_id": "t"}}
    graph.invoke({"log": ["x"]}, thread)
    branch = graph.create_branch(thread, "draft")
    graph.invoke({"log": ["y"]}, branch.config)
    graph.invoke({"log": ["w"]}, thread)
    assert graph.merge_branch(thread, "draft").reduced == ("log",)
    assert graph.invoke({"log": ["z"]}, thread)["log"] == ["x", "a", "w", "a", "y", "a", "z", "a"]
    for config in (thread, branch.config):
        for state in graph.get_state_history(config):
            assert told(saver, state.config) == state.values["log"]
