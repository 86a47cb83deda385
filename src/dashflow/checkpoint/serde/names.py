"""From the names in stored data to classes, without ever importing what data names.

A class comes from a fixed table, from what the program allowed or registered, or from what this process
stored itself. Only modules that one of these names are imported.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any, Literal
from weakref import WeakValueDictionary

from dashflow.checkpoint.serde import notices
from dashflow.checkpoint.serde._msgpack import SAFE_MSGPACK_TYPES
from dashflow.log.codec import Registry, type_name

Key = tuple[str, ...]
Allowed = set[Key] | Literal[True] | None
"""Names that may be revived; True: also those that this process stored; None: the fixed table's only."""

_OURS = "dashflow."
_THEIRS = "langgraph."
_MOVED = {
    "langgraph.store.base": "dashflow.store.base",
    "langgraph.types": "dashflow.types",
    "pathlib._local": "pathlib",
}
"""Modules of the fixed table that are elsewhere here."""

_FORMER = {("langgraph.constants", name): ("langgraph.types", name) for name in ("Interrupt", "Send")}
"""Names of the fixed table under which LangGraph's early releases stored the same."""

_stored_here: WeakValueDictionary[tuple[str, str], type] = WeakValueDictionary()


def stored_name(kind: type) -> tuple[str, str]:
    """The (module, name) under which instances of ``kind`` are stored; remembers that they were.

    The graph's own vocabulary is stored under LangGraph's names, so that either reads what the other wrote.
    """
    module, name = kind.__module__, kind.__name__
    if module.startswith(_OURS):
        for known in ("langgraph.types", "langgraph.store.base"):
            home = _MOVED[known]
            if (module == home or module.startswith(f"{home}.")) and (known, name) in SAFE_MSGPACK_TYPES:
                return known, name
    key = (module, name)
    if _stored_here.get(key) is not kind:
        _stored_here[key] = kind
    return key


def normalized(allowed: Iterable[Key | type] | Literal[True] | None) -> Allowed:
    """An allowlist as a set of names; an empty one is None."""
    if allowed is True:
        return True
    keys: set[Key] = {
        (item.__module__, item.__name__) if isinstance(item, type) else tuple(item) for item in allowed or ()
    }
    return keys or None


class Classes:
    """What one serialiser may revive.

    Args:
        allowed: See ``Allowed``.
        registry: Classes that programs registered: the schemas of their graphs.
    """

    __slots__ = ("allowed", "registry")

    def __init__(self, allowed: Allowed, registry: Registry | None = None) -> None:
        self.allowed = allowed
        self.registry = registry

    def find(self, module: str, name: str) -> Any:
        """The class, or function that makes instances, of that stored name; None: it is not allowed."""
        key = (module, name)
        if module.startswith(_OURS):
            key = (_THEIRS + module.removeprefix(_OURS), name)
        key = _FORMER.get(key, key)
        if key in SAFE_MSGPACK_TYPES:
            return getattr(import_module(_MOVED.get(key[0], key[0])), name)
        key = (module, name)
        if (kind := self._registered(key)) is not None:
            return kind
        if self.allowed is True:
            stored = _stored_here.get(key) or Registry().find(f"{module}:{name}")
            if stored is not None:
                notices.say_unregistered(module, name)
                return stored
        elif self.allowed and key in self.allowed:
            return allowed_class(key)
        notices.say_blocked(module, name)
        return None

    def _registered(self, key: tuple[str, str]) -> type | None:
        """A class that a graph's schema or the program's own hand registered."""
        registry = self.registry
        if registry is None:
            return None
        known = registry.find(":".join(key))
        return known if known is not None and type_name(known) in registry.names else None


def allowed_class(key: Key) -> Any:
    """The class that a program's own allowlist names: stored by this process, or imported at its word."""
    *module, name = key
    path = ".".join(module)
    known = _stored_here.get((path, name))
    return known if known is not None else getattr(import_module(path), name)
