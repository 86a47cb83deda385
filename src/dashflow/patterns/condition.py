"""Conditions on a message: its type, words, tool calls, metadata, or whatever a function finds.

Pure; messages are looked at, not imported: LangChain's objects and dicts with ``role`` or ``type`` will do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from dashflow._util.sentinel import MISSING

_TYPES = {"user": "human", "assistant": "ai", "developer": "system", "function": "tool"}


def type_of(message: Any) -> str:
    """``human``, ``ai``, ``system``, ``tool``, ...: of a chunk, that of its message."""
    if isinstance(message, dict):
        found = str(message.get("type") or message.get("role") or "")
    else:
        found = str(getattr(message, "type", ""))
    found = found.removesuffix("MessageChunk").lower()
    return _TYPES.get(found, found)


def attribute_of(message: Any, name: str) -> Any:
    """A part of a message or state; None when it has none of that name."""
    return message.get(name) if isinstance(message, dict) else getattr(message, name, None)


def text_of(message: Any) -> str:
    """The words of a message: its content, of blocks those that are text."""
    content = attribute_of(message, "content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    return "".join(part if isinstance(part, str) else str(part.get("text") or "") for part in parts)


class Condition:
    """A test of a message, in the light of the state; joins with ``&``, ``|`` and ``~``.

    Args:
        test: From a message and the state to whether it holds.
        name: For people.
    """

    __slots__ = ("name", "test")

    def __init__(self, test: Callable[[Any, Any], bool], name: str) -> None:
        self.test = test
        self.name = name

    def __call__(self, message: Any, state: Any = None) -> bool:
        return bool(self.test(message, state))

    def __and__(self, other: Condition) -> Condition:
        return Condition(lambda m, s: self(m, s) and other(m, s), f"({self.name} and {other.name})")

    def __or__(self, other: Condition) -> Condition:
        return Condition(lambda m, s: self(m, s) or other(m, s), f"({self.name} or {other.name})")

    def __invert__(self) -> Condition:
        return Condition(lambda m, s: not self(m, s), f"not {self.name}")

    def __repr__(self) -> str:
        return f"Condition({self.name})"


def is_type(*types: str) -> Condition:
    """It is of one of these types (``human``, ``ai``, ``system``, ``tool``) or roles (``user``, ...)."""
    wanted = {_TYPES.get(kind, kind) for kind in types}
    return Condition(lambda message, _: type_of(message) in wanted, f"type is {' or '.join(sorted(wanted))}")


def contains(words: str | re.Pattern[str]) -> Condition:
    """Its text has these words in it, in upper or lower case; or matches a compiled pattern somewhere."""
    pattern = re.compile(re.escape(words), re.IGNORECASE) if isinstance(words, str) else words
    return Condition(lambda message, _: pattern.search(text_of(message)) is not None, f"contains {words!r}")


def calls_tool(*names: str) -> Condition:
    """It calls one of these tools; without names, any."""

    def test(message: Any, _: Any) -> bool:
        calls: Sequence[Any] = attribute_of(message, "tool_calls") or ()
        return any(not names or call["name"] in names for call in calls)

    return Condition(test, f"calls {' or '.join(names) or 'a tool'}")


def answers_tool(*names: str) -> Condition:
    """It is the answer of one of these tools; without names, of any."""
    return Condition(
        lambda message, _: (
            type_of(message) == "tool" and (not names or attribute_of(message, "name") in names)
        ),
        f"answers {' or '.join(names) or 'a tool'}",
    )


def from_name(*names: str) -> Condition:
    """Its author, ``message.name``, is one of these."""
    return Condition(lambda message, _: attribute_of(message, "name") in names, f"from {' or '.join(names)}")


def has_metadata(key: str, value: Any = MISSING) -> Condition:
    """``additional_kwargs`` or ``response_metadata`` has ``key``; with a value, exactly this one."""

    def test(message: Any, _: Any) -> bool:
        for place in ("additional_kwargs", "response_metadata", "metadata"):
            found = (attribute_of(message, place) or {}).get(key, MISSING)
            if found is not MISSING and (value is MISSING or found == value):
                return True
        return False

    return Condition(test, f"has {key}" if value is MISSING else f"{key} is {value!r}")


def when(test: Callable[[Any], bool], name: str | None = None) -> Condition:
    """A condition of your own on the message."""
    return Condition(lambda message, _: test(message), name or str(getattr(test, "__name__", "condition")))


def when_state(test: Callable[[Any], bool], name: str | None = None) -> Condition:
    """A condition of your own on the whole state."""
    return Condition(lambda _, state: test(state), name or str(getattr(test, "__name__", "condition")))
