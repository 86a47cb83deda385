"""Delta channels as savers show them: seldom whole, and always complete for who asks for their history."""

from collections.abc import Sequence
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage

from dashflow.channels import DeltaChannel
from dashflow.graph.message import _messages_delta_reducer
from dashflow.types import Overwrite
from dashflow.types.snapshots import DeltaSnapshot

pytestmark = pytest.mark.feature("CHAN-004")


def extend(value: list[Any], updates: Sequence[list[Any]]) -> list[Any]:
    return [*value, *(item for update in updates for item in update)]


def state(frequency: int) -> Any:
    class State(TypedDict):
        items: Annotated[list[Any], DeltaChannel(extend, list, snapshot_frequency=frequency)]

    return State


def shown(recorded: Any, **options: Any) -> Any:
    """The value and the counters that the saver shows at the latest checkpoint."""
    config = recorded.config(**options)
    saved = (
        recorded.saver.get_tuple(config)
        if recorded._runner is None
        else recorded._runner.run(recorded.saver.aget_tuple(config))
    )
    return saved.checkpoint["channel_values"].get("items"), saved.metadata.get(
        "counters_since_delta_snapshot"
    )


def made(recorded: Any) -> Any:
    """What the history that the saver gives for the channel comes to."""
    found = (
        recorded.saver.get_delta_channel_history(config=recorded.config(), channels=["items"])
        if recorded._runner is None
        else recorded._runner.run(
            recorded.saver.aget_delta_channel_history(config=recorded.config(), channels=["items"])
        )
    )["items"]
    channel = DeltaChannel(extend, list).from_checkpoint(found.get("seed", []))
    channel.replay_writes(found["writes"])
    return channel.get()


def test_the_value_is_shown_after_so_many_updates(recorded) -> None:
    graph = recorded.compile(recorded.graph([("a", lambda s: {"items": ["a"]})], schema=state(4)))
    seen = []
    for number in range(3):
        recorded.run(graph, {"items": [number]})
        seen.append(shown(recorded))
    assert seen == [
        (None, {"items": [2, 3]}),
        (DeltaSnapshot([0, "a", 1, "a"]), None),
        (None, {"items": [2, 3]}),
    ]
    assert recorded.state(graph).values == {"items": [0, "a", 1, "a", 2, "a"]}


def test_a_replaced_value_is_shown(recorded) -> None:
    nodes = [("a", lambda s: {"items": ["a"]}), ("b", lambda s: {"items": Overwrite(["b"])})]
    edges = [("__start__", "a"), ("__start__", "b")]
    graph = recorded.compile(recorded.graph(nodes, edges, schema=state(100)))
    recorded.run(graph, {"items": [0]})
    assert shown(recorded) == (DeltaSnapshot(["b"]), None)


def test_the_history_makes_the_value(recorded) -> None:
    graph = recorded.compile(recorded.graph([("a", lambda s: {"items": ["a"]})], schema=state(100)))
    recorded.run(graph, {"items": [0]})
    recorded.run(graph, {"items": [1]})
    assert made(recorded) == [0, "a", 1, "a"]


def test_a_run_that_keeps_only_its_end_keeps_what_makes_the_value(recorded) -> None:
    graph = recorded.compile(recorded.graph([("a", lambda s: {"items": ["a"]})], schema=state(100)))
    recorded.run(graph, {"items": [0]}, durability="exit")
    assert shown(recorded) == (None, {"items": [2, 3]})
    assert made(recorded) == recorded.state(graph).values["items"] == [0, "a"]
    recorded.run(graph, {"items": [1]}, durability="exit")
    assert made(recorded) == recorded.state(graph).values["items"] == [0, "a", 1, "a"]


@pytest.mark.parametrize("message", [("human", "hi"), {"role": "user", "content": "hi"}, "hi"])
def test_messages_get_ids_before_they_are_recorded(recorded, message) -> None:
    class Chat(TypedDict):
        messages: Annotated[list[Any], DeltaChannel(_messages_delta_reducer)]
        raw: Annotated[list[Any], DeltaChannel(extend, list)]

    def reply(state: Any) -> Any:
        return {"messages": Overwrite([*state["messages"], ("ai", "yes")]), "raw": [AIMessage("raw"), 5]}

    graph = recorded.compile(recorded.graph([reply], schema=Chat))
    recorded.run(graph, {"messages": [message], "raw": [{"role": "user", "content": "raw"}]})
    values = recorded.state(graph).values
    assert [one.content for one in values["messages"]] == ["hi", "yes"]
    assert [getattr(one, "content", one) for one in values["raw"]] == ["raw", "raw", 5]
    ids = [one.id for one in [*values["messages"], *values["raw"][:2]]]
    assert all(ids)
    recorded.reopen()
    again = recorded.compile(recorded.graph([reply], schema=Chat))
    kept = recorded.state(again).values
    assert [one.id for one in [*kept["messages"], *kept["raw"][:2]]] == ids
