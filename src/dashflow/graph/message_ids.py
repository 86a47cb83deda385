"""Ids for messages on their way into delta channels, before anything records them.

A saver that keeps a channel's updates makes its value from them again and again: a message without an id
would come back without one, or with another one every time. Nothing the caller passed in is changed but the
ids of message objects.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from dashflow._util.sentinel import MISSING
from dashflow.channels.delta import DeltaChannel
from dashflow.graph.message import _load, _messages_delta_reducer
from dashflow.types.commands import Overwrite, overwrite_of

Stamp = Callable[[Any], Any]
"""From an update to the same update with ids in its messages."""

_ROLES = frozenset({"user", "human", "assistant", "ai", "tool", "system", "function"})
_TYPES = frozenset({"human", "ai", "tool", "system", "function", "remove"})


def stamps(channels: Mapping[str, Any]) -> dict[str, Stamp]:
    """For each delta channel what gives ids to the messages written to it."""
    return {
        key: _messages if channel.reducer is _messages_delta_reducer else _anything
        for key, channel in channels.items()
        if isinstance(channel, DeltaChannel)
    }


def _messages(update: Any) -> Any:
    """For a channel of messages: whatever LangChain takes for one becomes one, with an id."""
    replaced = overwrite_of(update)
    if replaced is not MISSING:
        return Overwrite(list(map(_message, replaced))) if isinstance(replaced, list | tuple) else update
    return list(map(_message, update)) if isinstance(update, list) else _message(update)


def _anything(update: Any) -> Any:
    """For another delta channel, which may hold other things: messages get ids, the rest is left alone."""
    replaced = overwrite_of(update)
    if replaced is not MISSING:
        for item in replaced if isinstance(replaced, list | tuple) else ():
            _identify(item)
        return update
    if isinstance(update, list):
        return [_message(item) if _is_message_dict(item) else _identify(item) for item in update]
    if _is_message_dict(update):
        return update if update.get("id") else {**update, "id": str(uuid4())}
    return _identify(update)


def _is_message_dict(value: Any) -> bool:
    return isinstance(value, dict) and (value.get("role") in _ROLES or value.get("type") in _TYPES)


def _message(value: Any) -> Any:
    if not (isinstance(value, str | tuple) or _is_message_dict(value)):
        return _identify(value)
    (message,) = _load().convert([value])
    return _identify(message)


def _identify(value: Any) -> Any:
    known = sys.modules.get("langchain_core.messages.base")  # who has a message, has loaded this
    if known is not None and isinstance(value, known.BaseMessage) and not value.id:
        value.id = str(uuid4())
    return value
