"""Ids for messages that are written to delta channels, given before anything is recorded.

What such a channel keeps are the writes, which every read reduces again: a message must have its id before
that. LangChain loads when the first write to such a channel comes.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from dashflow._util.sentinel import MISSING
from dashflow.channels.delta import DeltaChannel
from dashflow.types.commands import Overwrite, overwrite_of

__all__ = ("ensure_message_ids",)

_KINDS = frozenset({"user", "human", "assistant", "ai", "tool", "system", "function"})
"""Roles and types that tell a message's dict from other data."""


def ensure_message_ids(channels: Mapping[str, Any], writes: list[tuple[str, Any]]) -> None:
    """Give the messages in ``writes`` to delta channels ids, in place.

    Where the channel's reducer takes nothing but messages (it has ``takes_messages``), all that can become a
    message becomes one: a dict, text, a pair. In other delta channels only message objects and dicts that
    tell a role get an id.

    Args:
        channels: By name.
        writes: (channel, value); a changed value takes the old one's place, containers are not changed.

    Raises:
        Exception: A dict in a list says that it is a message, and is none.
    """
    for place, (name, value) in enumerate(writes):
        channel = channels.get(name)
        if isinstance(channel, DeltaChannel):
            named = _coerced if getattr(channel.reducer, "takes_messages", False) else _stamped
            new = named(value)
            if new is not value:
                writes[place] = (name, new)


def _coerced(value: Any) -> Any:
    """The value with messages in the place of all that can become one."""
    new = overwrite_of(value)
    if new is MISSING:
        return _each(value, _strictly) if isinstance(value, list) else _message(value)
    if isinstance(new, list | tuple):
        items = _each(new, _message)
        return value if items is new else Overwrite(items)
    return value


def _stamped(value: Any) -> Any:
    """The value with ids for what is a message."""
    new = overwrite_of(value)
    if new is not MISSING:
        for item in new if isinstance(new, list | tuple) else ():
            _stamp(item)
        return value
    if isinstance(value, list):
        return _each(value, _in_list)
    if _tells_role(value):
        return value if value.get("id") else {**value, "id": str(uuid.uuid4())}
    return _stamp(value)


def _each(items: Any, make: Callable[[Any], Any]) -> Any:
    """The same container if nothing in it changes."""
    made = [make(item) for item in items]
    if all(new is old for new, old in zip(made, items, strict=True)):
        return items
    return made if isinstance(items, list) else tuple(made)


def _in_list(item: Any) -> Any:
    return _convert(item) if _tells_role(item) else _stamp(item)


def _strictly(item: Any) -> Any:
    return _convert(item) if _tells_role(item) else _message(item)


def _message(item: Any) -> Any:
    """The item as a message with an id; as it is when it is none, which the reducer will say."""
    from langchain_core.messages import BaseMessage

    if isinstance(item, BaseMessage):
        return _stamp(item)
    try:
        return _convert(item)
    except Exception:  # what the reducer cannot take either fails there
        return item


def _convert(item: Any) -> Any:
    from langchain_core.messages import convert_to_messages

    (message,) = convert_to_messages([item])
    if not message.id:
        message.id = str(uuid.uuid4())
    return message


def _stamp(item: Any) -> Any:
    from langchain_core.messages import BaseMessage

    if isinstance(item, BaseMessage) and item.id is None:
        item.id = str(uuid.uuid4())
    return item


def _tells_role(item: Any) -> bool:
    return isinstance(item, dict) and (
        item.get("role") in _KINDS or item.get("type") in _KINDS or item.get("type") == "remove"
    )
