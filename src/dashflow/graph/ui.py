"""Messages for user interfaces: components to show, kept in the state beside the messages of the chat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, cast
from uuid import uuid4

from typing_extensions import TypedDict

from dashflow._util.langchain import AnyMessage
from dashflow._util.scope import require_scope

__all__ = (
    "AnyUIMessage",
    "RemoveUIMessage",
    "UIMessage",
    "delete_ui_message",
    "push_ui_message",
    "ui_message_reducer",
)


class UIMessage(TypedDict):
    """A component to show: which one, with which props, and what else there is to know of it."""

    type: Literal["ui"]
    id: str
    name: str
    props: dict[str, Any]
    metadata: dict[str, Any]


class RemoveUIMessage(TypedDict):
    """Takes the component of that id away."""

    type: Literal["remove-ui"]
    id: str


AnyUIMessage: TypeAlias = UIMessage | RemoveUIMessage
"""What a state's key for user interfaces holds and takes."""


def push_ui_message(
    name: str,
    props: dict[str, Any],
    *,
    id: str | None = None,  # noqa: A002  # LangGraph's name
    metadata: dict[str, Any] | None = None,
    message: AnyMessage | None = None,
    state_key: str | None = "ui",
    merge: bool = False,
) -> UIMessage:
    """From inside a task: show a component, by the ``custom`` stream and in the state.

    Args:
        name: Which component.
        props: Its props.
        id: Replaces the component of that id; a new one unless given.
        metadata: What else there is to know.
        message: The message of the chat that it belongs to.
        state_key: Key of the state; None: only stream.
        merge: Keep the props of the replaced component that are not given here.

    Returns:
        What was sent.

    Raises:
        RuntimeError: No graph runs this code.
    """
    scope = require_scope("push_ui_message()")
    config = scope.config
    owner = message.get("id") if isinstance(message, Mapping) else getattr(message, "id", None)
    sent: UIMessage = {
        "type": "ui",
        "id": id or str(uuid4()),
        "name": name,
        "props": props,
        "metadata": {
            "merge": merge,
            "run_id": config.get("run_id"),
            "tags": config.get("tags"),
            "name": config.get("run_name"),
            **(metadata or {}),
            **({"message_id": owner} if owner else {}),
        },
    }
    scope.writer(sent)
    if state_key:
        scope.send([(state_key, sent)])
    return sent


def delete_ui_message(id: str, *, state_key: str = "ui") -> RemoveUIMessage:  # noqa: A002  # LangGraph's name
    """From inside a task: take a component away, by the ``custom`` stream and in the state.

    Args:
        id: Which one.
        state_key: Key of the state.

    Raises:
        RuntimeError: No graph runs this code.
    """
    scope = require_scope("delete_ui_message()")
    sent: RemoveUIMessage = {"type": "remove-ui", "id": id}
    scope.writer(sent)
    scope.send([(state_key, sent)])
    return sent


def ui_message_reducer(
    left: list[AnyUIMessage] | AnyUIMessage, right: list[AnyUIMessage] | AnyUIMessage
) -> list[AnyUIMessage]:
    """Merge components into a list of components, by id: the reducer for a state's components.

    Args:
        left: The list, or one component.
        right: What to merge into it.

    Returns:
        A new list.

    Raises:
        ValueError: A component to remove is not there.
    """
    merged: list[AnyUIMessage] = list(left) if isinstance(left, list) else [left]
    places = {known["id"]: place for place, known in enumerate(merged)}
    removed: set[str] = set()
    for change in right if isinstance(right, list) else [right]:
        place = places.get(change["id"])
        if change["type"] == "remove-ui":
            if place is None:
                raise ValueError(
                    f"Attempting to delete an UI message with an ID that doesn't exist ('{change['id']}')"
                )
            removed.add(change["id"])
        elif place is None:
            places[change["id"]] = len(merged)
            merged.append(change)
        else:
            removed.discard(change["id"])
            merged[place] = _replaced(cast("UIMessage", merged[place]), change)
    return [kept for kept in merged if kept["id"] not in removed]


def _replaced(old: UIMessage, new: UIMessage) -> UIMessage:
    if not new.get("metadata", {}).get("merge"):
        return new
    return {**new, "props": {**old["props"], **new["props"]}}
