"""Messages for user interfaces: pushed and deleted from inside nodes, merged in the state."""

import operator
from typing import Annotated, Any, TypedDict

import pytest

from dashflow.graph.message import add_messages, push_message
from dashflow.graph.ui import AnyUIMessage, delete_ui_message, push_ui_message, ui_message_reducer

pytestmark = pytest.mark.feature("RUN-16")


class State(TypedDict, total=False):
    n: int
    log: Annotated[list[Any], operator.add]
    ui: Annotated[list[AnyUIMessage], ui_message_reducer]
    side: Annotated[list[AnyUIMessage], ui_message_reducer]


def ui(id: str, kind: str = "ui", **more: Any) -> Any:  # noqa: A002  # as in the message
    return {"type": kind, "id": id, "name": "card", "props": {}, "metadata": {}, **more}


def test_components_are_streamed_and_kept(world) -> None:
    def shows(state: Any) -> Any:
        pushed = push_ui_message("card", {"a": 1}, id="1", message={"id": "m"}, metadata={"x": 1})
        assert pushed["metadata"]["message_id"] == "m"
        push_ui_message("card", {"b": 2}, id="1", merge=True)
        push_ui_message("other", {}, id="2", state_key="side")
        push_ui_message("passing", {}, id="3", state_key=None)
        return {"log": ["shown"]}

    def removes(state: Any) -> Any:
        assert [one["id"] for one in state["ui"]] == ["1"]
        delete_ui_message("2", state_key="side")

    graph = world.compile(world.graph([shows, removes], schema=State))
    parts = world.parts(graph, {"n": 1}, stream_mode=["custom", "values"])
    custom = [data for mode, data in parts if mode == "custom"]
    assert [(one["type"], one["id"]) for one in custom] == [
        ("ui", "1"),
        ("ui", "1"),
        ("ui", "2"),
        ("ui", "3"),
        ("remove-ui", "2"),
    ]
    (card,) = parts[-1][1]["ui"]
    assert (card["name"], card["props"]) == ("card", {"a": 1, "b": 2})
    assert card["metadata"]["merge"] is True
    assert parts[-1][1]["side"] == []


def test_components_merge_by_id() -> None:
    first = ui_message_reducer(ui("1"), [ui("2"), ui("1", props={"x": 1})])
    assert [(one["id"], one["props"]) for one in first] == [("1", {"x": 1}), ("2", {})]
    merged = ui_message_reducer(first, ui("1", props={"y": 2}, metadata={"merge": True}))
    assert merged[0]["props"] == {"x": 1, "y": 2}
    assert [one["id"] for one in ui_message_reducer(merged, ui("2", "remove-ui"))] == ["1"]
    again = ui_message_reducer(merged, [ui("2", "remove-ui"), ui("2", props={"z": 3})])
    assert again[1]["props"] == {"z": 3}
    with pytest.raises(ValueError, match=r"Attempting to delete an UI message .* \('9'\)"):
        ui_message_reducer(merged, ui("9", "remove-ui"))


@pytest.mark.parametrize("call", [lambda: push_ui_message("x", {}), lambda: delete_ui_message("x")])
def test_outside_of_a_graph_there_is_nobody_to_show_it(call) -> None:
    with pytest.raises(RuntimeError, match="outside of a runnable context"):
        call()


@pytest.mark.feature("MSG-001")
def test_messages_are_pushed_beside_what_a_node_returns(world) -> None:
    class Chat(TypedDict):
        messages: Annotated[list[Any], add_messages]

    def speaks(state: Any) -> Any:
        push_message({"role": "ai", "content": "aside", "id": "1"})
        push_message({"role": "ai", "content": "not kept", "id": "2"}, state_key=None)
        with pytest.raises(ValueError, match="Message ID is required"):
            push_message(("ai", "without an id"))
        return {"messages": ("ai", "answer")}

    graph = world.compile(world.graph([speaks], schema=Chat))
    result = world.run(graph, {"messages": ("human", "hi")})
    assert [message.content for message in result["messages"]] == ["hi", "answer", "aside"]
