"""usable_messages: ``add_messages`` that leaves a list which chat models take, whatever was cancelled.

Providers refuse a conversation in which a tool call has no answer, for ever. LangChain is loaded when used.
"""

from __future__ import annotations

from typing import Any, Final

from dashflow.channels.binop import BinaryOperatorAggregate
from dashflow.graph.message import _load, add_messages

CLOSED: Final = "The call was cancelled before it was done."
"""What the model is told of a call that nobody will answer any more."""

_MARK: Final = "dashflow_closed"
_PARTIAL: Final = "partial"


def usable_messages(left: Any, right: Any) -> Any:
    """Merge messages as ``add_messages`` does, and keep the list usable.

    * A person's message behind tool calls without answers: those get answers that say they were cancelled
      (``status`` "error").
    * A real answer for such a call takes that one's place.
    * A partial message that a cancelled run left at the end gives way to the next one of the model.

    Args:
        left: The list.
        right: What to merge into it.
    """
    langchain = _load()
    if isinstance(left, list) and left and isinstance(left[-1], langchain.message):
        items = right if isinstance(right, list) else [right]
        given = langchain.convert(items) if items else items
        left = _prepared(left, given)
        right = _in_place(left, given)
    return add_messages(left, right)


usable_messages.keeps_usable = True  # type: ignore[attr-defined]  # how plans know it


def is_partial(message: Any) -> bool:
    """Whether a message is what a cancelled run had written of one."""
    return bool(getattr(message, "response_metadata", {}).get(_PARTIAL))


def _prepared(left: list[Any], given: list[Any]) -> list[Any]:
    """The list, so that what is given can follow."""
    kinds = {message.type for message in given}
    if "ai" in kinds and "human" not in kinds and is_partial(left[-1]):
        ids = {message.id for message in given}
        return left if left[-1].id in ids else left[:-1]
    if "human" in kinds and (open_calls := _open_calls(left)):
        answered = {getattr(message, "tool_call_id", None) for message in given}
        return [*left, *(_closing(call) for call in open_calls if call["id"] not in answered)]
    return left


def _open_calls(messages: list[Any]) -> list[Any]:
    """Tool calls at the end of the list that have no answer."""
    answered = set()
    for message in reversed(messages):
        if message.type == "tool":
            answered.add(message.tool_call_id)
        elif message.type == "ai":
            return [call for call in message.tool_calls if call["id"] not in answered]
        else:
            break
    return []


def _closing(call: Any) -> Any:
    return _load().answer(
        CLOSED,
        tool_call_id=call["id"],
        name=call["name"],
        status="error",
        id=f"closed-{call['id']}",
        additional_kwargs={_MARK: True},
    )


def _in_place(left: list[Any], given: list[Any]) -> list[Any]:
    """The given messages, with the id of what they take the place of."""
    if not any(message.type == "tool" for message in given):
        return given
    there = {message.id for message in left[-_LOOKED_AT:] if message.additional_kwargs.get(_MARK)}
    if not there:
        return given
    return [
        message.model_copy(update={"id": f"closed-{message.tool_call_id}"})
        if message.type == "tool" and f"closed-{message.tool_call_id}" in there
        else message
        for message in given
    ]


_LOOKED_AT: Final = 200
"""How many messages at the end may have been closed and still get an answer."""


def usable_channels(builder: Any, wanted: bool | None) -> dict[str, Any]:
    """The channels of a graph that is compiled, with ``usable_messages`` where that is wanted.

    Args:
        builder: The ``StateGraph``.
        wanted: Whether it is; None: if its nodes are those of an agent of ``langchain.agents``.
    """
    channels: dict[str, Any] = builder.channels
    messages = [
        name
        for name, one in channels.items()
        if type(one) is BinaryOperatorAggregate and one.operator is add_messages
    ]
    if not messages or wanted is False or (wanted is None and not _is_agent(builder)):
        return channels
    usable = dict(channels)
    for name in messages:
        usable[name] = BinaryOperatorAggregate(channels[name].typ, usable_messages)
    return usable


def _is_agent(builder: Any) -> bool:
    """Whether a node's code is that of ``langchain.agents``."""
    for spec in builder.nodes.values():
        code = getattr(spec.action, "func", None) or getattr(spec.action, "afunc", None)
        if (getattr(code, "__module__", None) or "").startswith("langchain.agents"):
            return True
    return False
