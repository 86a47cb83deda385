"""Which classes stored msgpack may become without anybody asking for it, and the switch for nothing else.

The names are those of the wire format: what LangGraph's databases hold.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, cast

STRICT_MSGPACK_ENABLED = os.getenv("LANGGRAPH_STRICT_MSGPACK", "false").lower() in ("1", "true", "yes")
"""Whether serialisers made without an allowlist revive classes of ``SAFE_MSGPACK_TYPES`` only."""

_SENTINEL = cast(Any, object())
"""Tells ``allowed_msgpack_modules`` not given from None."""

AllowedMsgpackModules = Iterable[tuple[str, ...] | type]

_IN_PYTHON: dict[str, tuple[str, ...]] = {
    "builtins": ("frozenset", "set"),
    "collections": ("deque",),
    "datetime": ("date", "datetime", "time", "timedelta", "timezone"),
    "decimal": ("Decimal",),
    "ipaddress": (
        "IPv4Address",
        "IPv4Interface",
        "IPv4Network",
        "IPv6Address",
        "IPv6Interface",
        "IPv6Network",
    ),
    "pathlib": ("Path", "PosixPath", "WindowsPath"),
    "pathlib._local": ("Path", "PosixPath", "WindowsPath"),
    "re": ("compile",),
    "uuid": ("UUID",),
    "zoneinfo": ("ZoneInfo",),
}
_IN_LANGCHAIN: dict[str, tuple[str, ...]] = {
    "langchain_core.documents.base": ("Document",),
    "langchain_core.messages.ai": ("AIMessage", "AIMessageChunk"),
    "langchain_core.messages.base": ("BaseMessage", "BaseMessageChunk"),
    "langchain_core.messages.chat": ("ChatMessage", "ChatMessageChunk"),
    "langchain_core.messages.function": ("FunctionMessage", "FunctionMessageChunk"),
    "langchain_core.messages.human": ("HumanMessage", "HumanMessageChunk"),
    "langchain_core.messages.modifier": ("RemoveMessage",),
    "langchain_core.messages.system": ("SystemMessage", "SystemMessageChunk"),
    "langchain_core.messages.tool": ("ToolMessage", "ToolMessageChunk"),
}
_IN_GRAPHS: dict[str, tuple[str, ...]] = {
    "langgraph.store.base": ("GetOp", "Item"),
    "langgraph.types": (
        "Command",
        "Interrupt",
        "Overwrite",
        "PregelTask",
        "Send",
        "StateSnapshot",
        "TimeoutPolicy",
    ),
}

SAFE_MSGPACK_TYPES: frozenset[tuple[str, ...]] = frozenset(
    (module, name)
    for table in (_IN_PYTHON, _IN_LANGCHAIN, _IN_GRAPHS)
    for module, names in table.items()
    for name in names
)
"""(module, name) of what may always be made: data, and nothing that acts."""

SAFE_MSGPACK_METHODS: frozenset[tuple[str, str, str]] = frozenset({("datetime", "datetime", "fromisoformat")})
"""(module, class, method) of what may be called with a stored argument."""
