"""State schemas to channels: TypedDict, dataclass, pydantic model, or a plain type (one root channel).

Annotations are read once, when a graph is built. May not import pydantic: a model is recognised by its
fields, and only the user's own program brings the class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from functools import partial
from inspect import Parameter, isclass, signature
from typing import Any, NotRequired, Required, get_args, get_origin, get_type_hints

from dashflow.channels.base import BaseChannel
from dashflow.channels.binop import BinaryOperatorAggregate
from dashflow.channels.delta import DeltaChannel
from dashflow.channels.last_value import LastValue
from dashflow.managed.base import is_managed_value

ROOT = "__root__"


class Schema:
    """One schema, taken apart: its channels, managed values, and how to make an object of it."""

    __slots__ = ("channels", "coerce", "hints", "keys", "managed", "type")

    def __init__(self, kind: Any) -> None:
        self.type = kind
        self.hints: dict[str, Any] = {}
        self.channels: dict[str, BaseChannel[Any, Any, Any]] = {}
        self.managed: dict[str, Any] = {}
        if not hasattr(kind, "__annotations__"):
            channel = to_channel(ROOT, kind)
            if not isinstance(channel, BaseChannel):
                raise ValueError(f"This {kind} not allowed in this position")
            self.channels[ROOT] = channel
        else:
            self.hints = get_type_hints(kind, include_extras=True)
            for name, hint in self.hints.items():
                if name == "__slots__":
                    continue
                channel = to_channel(name, hint)
                if isinstance(channel, BaseChannel):
                    self.channels[name] = channel
                else:
                    self.managed[name] = channel
        self.keys = [*self.channels, *self.managed]
        self.coerce = _coercion(kind) if self.keys != [ROOT] else None

    @property
    def is_root(self) -> bool:
        """Whether the state is one value without keys."""
        return self.keys == [ROOT]


def _coercion(kind: Any) -> Callable[[Mapping[str, Any]], Any] | None:
    """How to make an object of ``kind`` from the state's keys; None when a dict will do."""
    if isclass(kind) and (is_dataclass(kind) or is_model(kind)):
        return partial(_construct, kind)
    return None


def _construct(kind: Any, values: Mapping[str, Any]) -> Any:
    return kind(**values)


def is_model(kind: Any) -> bool:
    """Whether ``kind`` is a pydantic model class (version 1 or 2)."""
    return hasattr(kind, "__pydantic_fields__") or (
        hasattr(kind, "__fields__") and hasattr(kind, "parse_obj")
    )


def to_channel(name: str, hint: Any) -> Any:
    """The channel (or managed value) that an annotation asks for; ``LastValue`` when it asks for none.

    Raises:
        ValueError: A reducer that does not take two values.
    """
    if get_origin(hint) in (Required, NotRequired):
        hint = get_args(hint)[0]
    managed = _managed(hint)
    if managed is not None:
        return managed
    channel = _channel(hint) or _reduced(hint) or LastValue(hint)
    channel.key = name
    return channel


def _managed(hint: Any) -> Any:
    metadata = getattr(hint, "__metadata__", ())
    if metadata:
        last = get_origin(metadata[-1]) or metadata[-1]
        if is_managed_value(last):
            return last
    if get_origin(hint) is not None and get_args(hint):
        return _managed(get_args(hint)[0])
    return None


def _channel(hint: Any) -> BaseChannel[Any, Any, Any] | None:
    for item in getattr(hint, "__metadata__", ()):
        if isinstance(item, DeltaChannel):
            origin = hint.__origin__
            if get_origin(origin) in (Required, NotRequired):
                origin = get_args(origin)[0]
            return item.__class__(item.reducer, origin, snapshot_frequency=item.snapshot_frequency)
        if isinstance(item, BaseChannel):
            return item
        if isclass(item) and issubclass(item, BaseChannel):
            return item(hint.__origin__)
    return None


def _reduced(hint: Any) -> BaseChannel[Any, Any, Any] | None:
    metadata = getattr(hint, "__metadata__", ())
    if not metadata or not callable(metadata[-1]):
        return None
    reducer = metadata[-1]
    try:
        shape = signature(reducer)
    except ValueError:  # some builtins have no signature to look at: trust their user
        return BinaryOperatorAggregate(hint, reducer)
    positional = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    if sum(p.kind in positional for p in shape.parameters.values()) != 2:
        raise ValueError(f"Invalid reducer signature. Expected (a, b) -> c. Got {shape}")
    return BinaryOperatorAggregate(hint, reducer)
