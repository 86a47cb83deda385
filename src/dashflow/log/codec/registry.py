"""Which classes stored data may become: those a program registered, and those it stored itself.

Names in data are looked up here and nowhere else; nothing is ever imported because data names it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from enum import Enum
from typing import Any, TypeVar, get_args, get_type_hints
from weakref import WeakValueDictionary

from dashflow.types.commands import own_annotations

__all__ = ("Registry", "type_name")

C = TypeVar("C", bound=type)

_stored_here: WeakValueDictionary[str, type] = WeakValueDictionary()
"""Classes of values that this process has encoded. Weak: classes made on the fly may go."""


def type_name(kind: type) -> str:
    """The name under which a class is stored: ``module:qualified name``."""
    return f"{kind.__module__}:{kind.__qualname__}"


def note_stored(kind: type) -> str:
    """Remember that this process stores instances of ``kind``; returns its name."""
    name = type_name(kind)
    _stored_here[name] = kind
    return name


class Registry:
    """Classes that decoding may make instances of, by name. Registering twice is once."""

    __slots__ = ("_classes", "_walked")

    def __init__(self, classes: Iterable[type] = ()) -> None:
        self._classes: dict[str, type] = {}
        self._walked: set[int] = set()
        for kind in classes:
            self.register(kind)

    def register(self, kind: C) -> C:
        """Allow ``kind``; returns it, so that this works as a class decorator."""
        self._classes[type_name(kind)] = kind
        return kind

    def register_schema(self, schema: Any) -> None:
        """Allow every class that an annotation mentions, and those that their fields' annotations do.

        Takes a TypedDict, dataclass, pydantic model, Struct, NamedTuple or Enum, or any annotation with
        such in it. Names that cannot be resolved are left out.
        """
        pending = [schema]
        while pending:
            current = pending.pop()
            if id(current) in self._walked:
                continue
            if isinstance(current, type):
                self._walked.add(id(current))
                if is_revivable(current):
                    self.register(current)
            pending.extend(_mentioned(current))

    def find(self, name: str) -> type | None:
        """The class of that name, registered here or stored by this process; None: unknown."""
        return self._classes.get(name) or _stored_here.get(name)

    @property
    def names(self) -> frozenset[str]:
        """Names of the registered classes."""
        return frozenset(self._classes)


def is_revivable(kind: type) -> bool:
    """Whether instances of ``kind`` are stored with their class."""
    return (
        issubclass(kind, Enum)
        or hasattr(kind, "__dataclass_fields__")
        or hasattr(kind, "__struct_fields__")
        or hasattr(kind, "__pydantic_fields_set__")
        or hasattr(kind, "__fields_set__")
        or (issubclass(kind, tuple) and hasattr(kind, "_fields"))
        or _is_subclass_of_builtin(kind)
    )


_SUBCLASSED = (str, int, float, bytes, list, dict, tuple, set, frozenset)


def _is_subclass_of_builtin(kind: type) -> bool:
    """A TypedDict is none: its instances are plain dicts."""
    return kind.__module__ != "builtins" and issubclass(kind, _SUBCLASSED) and not hasattr(kind, "__total__")


def _mentioned(annotation: Any) -> list[Any]:
    """What an annotation is made of, and the annotations of its fields if it is a class with some."""
    found = list(get_args(annotation))
    for attribute in ("__origin__", "__value__", "__bound__", "__supertype__"):
        part = getattr(annotation, attribute, None)
        if part is not None:
            found.append(part)
    if isinstance(annotation, type) and annotation.__module__ != "builtins":
        found.extend(_field_types(annotation))
    return [part for part in found if not isinstance(part, (str, bytes, int))]


def _field_types(kind: type) -> list[Any]:
    """Annotations of a class's fields, as far as they can be resolved."""
    try:
        return list(get_type_hints(kind, include_extras=True).values())
    except Exception:
        # A name that only type checkers know: take what the class itself has resolved already.
        known: list[Any] = [field.annotation for field in getattr(kind, "__pydantic_fields__", {}).values()]
        if dataclasses.is_dataclass(kind):
            known.extend(field.type for field in dataclasses.fields(kind))
        return known + list(own_annotations(kind).values())
