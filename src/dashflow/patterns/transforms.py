"""Filter and change messages: for one node's eyes, or in the state itself.

A transform takes a list of messages and returns another; it never changes a message in place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, Protocol

from dashflow.graph.message import REMOVE_ALL_MESSAGES
from dashflow.patterns.condition import Condition, attribute_of
from dashflow.patterns.routing import messages_of

Transform = Callable[[list[Any]], list[Any]]


def keep(condition: Condition) -> Transform:
    """Only the messages for which the condition holds."""
    return lambda messages: [message for message in messages if condition(message)]


def drop(condition: Condition) -> Transform:
    """All but the messages for which the condition holds."""
    return keep(~condition)


def last(count: int) -> Transform:
    """The last messages."""
    return lambda messages: messages[-count:] if count > 0 else []


def rewrite(change: Callable[[Any], Any], condition: Condition | None = None) -> Transform:
    """Every message (for which the condition holds) as ``change`` makes it; None drops it."""

    def transform(messages: list[Any]) -> list[Any]:
        changed = (m if condition is not None and not condition(m) else change(m) for m in messages)
        return [message for message in changed if message is not None]

    return transform


def redact(pattern: str | re.Pattern[str], replacement: str = "[redacted]") -> Transform:
    """Every match in a text replaced; the message keeps its id."""
    compiled = re.compile(pattern)

    def part(content: Any) -> Any:
        if isinstance(content, str):
            return compiled.sub(replacement, content)
        if isinstance(content, list):
            return [part(item) for item in content]
        if isinstance(content, dict) and isinstance(content.get("text"), str):
            return {**content, "text": compiled.sub(replacement, content["text"])}
        return content

    def change(message: Any) -> Any:
        before = attribute_of(message, "content")
        after = part(before)
        if after == before:
            return message
        if isinstance(message, dict):
            return {**message, "content": after}
        return message.model_copy(update={"content": after})

    return rewrite(change)


def applied(messages: list[Any], transforms: Sequence[Transform]) -> list[Any]:
    """The messages after all transforms, one after the other."""
    for transform in transforms:
        messages = transform(messages)
    return messages


class Runs(Protocol):
    """Anything that LangChain runs."""

    def invoke(self, input: Any, config: Any = None) -> Any: ...  # noqa: A002  # LangChain's name
    async def ainvoke(self, input: Any, config: Any = None) -> Any: ...  # noqa: A002


class View:
    """A Runnable that sees the messages through transforms."""

    def __init__(self, runnable: Runs, through: Callable[[Any], Any]) -> None:
        self.name = getattr(runnable, "name", None) or type(runnable).__name__
        self._runnable = runnable
        self._through = through

    def invoke(self, input: Any, config: Any = None) -> Any:  # noqa: A002
        """Run it."""
        return self._runnable.invoke(self._through(input), config)

    async def ainvoke(self, input: Any, config: Any = None) -> Any:  # noqa: A002
        """The same for async runs."""
        return await self._runnable.ainvoke(self._through(input), config)


def seen_through(node: Any, *transforms: Transform, key: str = "messages") -> Any:
    """A node that sees only what the transforms let through; the state keeps everything.

    Args:
        node: A function, coroutine function, or anything with ``invoke``.
        transforms: Applied one after the other.
        key: The state's key of messages.
    """

    def through(state: Any) -> Any:
        messages = applied(messages_of(state, key), transforms)
        if isinstance(state, list):
            return messages
        if isinstance(state, dict):
            return {**state, key: messages}
        if hasattr(state, "model_copy"):
            return state.model_copy(update={key: messages})
        from dataclasses import replace

        return replace(state, **{key: messages})

    if hasattr(node, "invoke"):
        return View(node, through)
    if iscoroutinefunction(node):

        @wraps(node)
        async def sees(state: Any, *args: Any, **kwargs: Any) -> Any:
            return await node(through(state), *args, **kwargs)

        return sees

    @wraps(node)
    def sees_now(state: Any, *args: Any, **kwargs: Any) -> Any:
        return node(through(state), *args, **kwargs)

    return sees_now


def transform_node(*transforms: Transform, key: str = "messages") -> Callable[[Any], dict[str, Any]]:
    """A node that changes the state's messages as the transforms say; it writes only what differs."""

    def transform_messages(state: Any) -> dict[str, Any]:
        before = messages_of(state, key)
        return {key: difference(before, applied(before, transforms))}

    return transform_messages


def difference(before: Sequence[Any], after: Sequence[Any]) -> list[Any]:
    """The update that makes ``after`` of ``before`` under ``add_messages``.

    Messages that are gone are removed by id, changed ones replaced, new ones at the end added. Anything
    else (another order, a new one in the middle, no ids) is written whole.
    """
    from langchain_core.messages import RemoveMessage

    old = {attribute_of(message, "id"): message for message in before}
    ids = [attribute_of(message, "id") for message in after]
    known = [identifier for identifier in ids if identifier in old]
    kept = set(known)
    in_place = (
        known == [identifier for identifier in old if identifier in kept] and ids[: len(known)] == known
    )
    if None in old or len(old) != len(before) or not in_place:
        return [RemoveMessage(id=REMOVE_ALL_MESSAGES), *after]
    gone = [RemoveMessage(id=identifier) for identifier in old if identifier not in kept]
    return [*gone, *(m for m, identifier in zip(after, ids, strict=True) if old.get(identifier) is not m)]
