"""State schemas to channels: TypedDict, dataclass, pydantic model, msgspec Struct, or a plain type (one
root channel).

Annotations are read once, when a graph is built. May not import pydantic: a model is recognised by its
fields, and only the user's own program brings the class.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from functools import partial
from inspect import Parameter, isclass, signature
from typing import Any, NotRequired, Required, get_args, get_origin, get_type_hints

import msgspec

from dashflow.channels.base import BaseChannel
from dashflow.channels.binop import BinaryOperatorAggregate
from dashflow.channels.delta import DeltaChannel
from dashflow.channels.last_value import LastValue
from dashflow.managed.base import is_managed_value

ROOT = "__root__"
_QUALIFIERS = (Required, NotRequired)


class Schema(dict[str, Any]):
    """One schema, taken apart: channels and managed values by key, and how to make an object of it.

    Attributes:
        type: The class.
        channels: An empty channel for each key that is stored.
        managed: The managed value of each key that the runtime fills.
        coerce: Makes an object of the class from a dict of its keys; None where nodes get the dict.
        aliases: Key of each other name that an input may use for it.
        hints: Annotation of each key that is stored.

    Warns:
        UserWarning: It is no type.

    Raises:
        ValueError: A reducer that does not take two values.
    """

    __slots__ = ("aliases", "channels", "coerce", "hints", "managed", "type")

    def __init__(self, kind: Any) -> None:
        _warn_if_no_type(kind)
        self.type = kind
        self.channels: dict[str, BaseChannel[Any, Any, Any]] = {}
        self.managed: dict[str, Any] = {}
        self.hints: dict[str, Any] = {}
        if not hasattr(kind, "__annotations__"):
            channel = to_channel(ROOT, kind)
            if not isinstance(channel, BaseChannel):
                raise ValueError(f"This {kind} not allowed in this position")
            self.channels[ROOT], self.hints[ROOT] = channel, kind
        else:
            for name, hint in get_type_hints(kind, include_extras=True).items():
                if name == "__slots__":
                    continue
                channel = to_channel(name, hint)
                if isinstance(channel, BaseChannel):
                    self.channels[name], self.hints[name] = channel, hint
                else:
                    self.managed[name] = channel
        super().__init__({**self.channels, **self.managed})
        self.aliases = {} if self.is_root else _aliases(kind)
        self.coerce = None if self.is_root else _coercion(kind, self.aliases)

    @property
    def is_root(self) -> bool:
        """Whether the state is one value without keys."""
        return list(self) == [ROOT]


def _warn_if_no_type(kind: Any) -> None:
    if isinstance(kind, type) or get_args(kind):
        return
    warnings.warn(
        f"Invalid state_schema: {kind}. Expected a type or Annotated[type, reducer]. "
        "Please provide a valid schema to ensure correct updates.\n"
        " See: https://langchain-ai.github.io/langgraph/reference/graphs/#stategraph",
        stacklevel=5,
    )


# -- objects ------------------------------------------------------------------------------------


def is_model(kind: Any) -> bool:
    """Whether ``kind`` is a class of pydantic's version 2; LangGraph hands dicts to nodes for version 1."""
    return isclass(kind) and hasattr(kind, "__pydantic_fields__")


def is_struct(kind: Any) -> bool:
    """Whether ``kind`` is a class of msgspec's."""
    return isclass(kind) and issubclass(kind, msgspec.Struct)


def _coercion(kind: Any, aliases: Mapping[str, str]) -> Callable[[Mapping[str, Any]], Any] | None:
    """How to make an object of ``kind`` from the state's keys; None when a dict will do."""
    if is_struct(kind):
        names = dict(zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True))
        return partial(_convert, kind, names)
    if is_model(kind):
        names = {} if _by_name(kind) else {key: alias for alias, key in aliases.items()}
        return partial(_construct, kind, names)
    if isclass(kind) and is_dataclass(kind):
        return partial(_construct, kind, {})
    return None


def _construct(kind: Any, names: Mapping[str, str], values: Mapping[str, Any]) -> Any:
    return kind(**({names.get(key, key): value for key, value in values.items()} if names else values))


def _convert(kind: Any, names: Mapping[str, str], values: Mapping[str, Any]) -> Any:
    """A Struct that keeps to its annotations, constraints included; ``kind(...)`` itself checks nothing."""
    return msgspec.convert({names[key]: value for key, value in values.items() if key in names}, kind)


def _by_name(kind: Any) -> bool:
    config = kind.model_config
    return bool(config.get("populate_by_name") or config.get("validate_by_name"))


def _aliases(kind: Any) -> dict[str, str]:
    if is_struct(kind):
        pairs = zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True)
        return {alias: key for alias, key in pairs if alias != key}
    if not is_model(kind):
        return {}
    found = {}
    for key, field in kind.model_fields.items():
        alias = field.validation_alias or field.alias
        if isinstance(alias, str) and alias != key:
            found[alias] = key
    return found


# -- channels -----------------------------------------------------------------------------------


def to_channel(name: str, hint: Any) -> Any:
    """The channel (or managed value) that an annotation asks for; ``LastValue`` when it asks for none.

    Raises:
        ValueError: A reducer that does not take two values.
    """
    if get_origin(hint) in _QUALIFIERS:
        hint = get_args(hint)[0]
    managed = _managed(hint)
    if managed is not None:
        return managed
    channel = field_channel(hint) or _reduced(hint) or LastValue(hint)
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


def field_channel(hint: Any) -> BaseChannel[Any, Any, Any] | None:
    """The channel that stands in an ``Annotated``, as an object or a class, among other metadata."""
    for item in getattr(hint, "__metadata__", ()):
        if isinstance(item, DeltaChannel):
            origin = hint.__origin__
            if get_origin(origin) in _QUALIFIERS:
                origin = get_args(origin)[0]
            return item.__class__(item.reducer, origin, snapshot_frequency=item.snapshot_frequency)
        if isinstance(item, BaseChannel):
            return item
        if isclass(item) and issubclass(item, BaseChannel):
            return item(hint.__origin__)
    return None


def _reduced(hint: Any) -> BaseChannel[Any, Any, Any] | None:
    """A channel with the reducer that is the last thing in an ``Annotated``; constraints are no reducers."""
    metadata = getattr(hint, "__metadata__", ())
    if not metadata or not callable(metadata[-1]) or type(metadata[-1]).__module__ == "annotated_types":
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
