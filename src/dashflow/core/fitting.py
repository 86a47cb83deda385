"""Whether a stored value fits a type, as far as that can be said without running anything. Pure.

In doubt it fits: what is refused here would be silently wrong.
"""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence, Set
from dataclasses import is_dataclass
from enum import Enum
from inspect import isclass
from typing import (
    Any,
    ForwardRef,
    Literal,
    NewType,
    NotRequired,
    Required,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

_WRAPPED = (Required, NotRequired)
_NUMBERS: dict[type, tuple[type, ...]] = {float: (int, float), complex: (int, float, complex)}


def is_keyed(kind: Any) -> bool:
    """Whether ``kind`` is a TypedDict, of the standard library's or of ``typing_extensions``."""
    return isclass(kind) and issubclass(kind, dict) and hasattr(kind, "__required_keys__")


def fits(value: Any, hint: Any) -> bool:
    """Whether ``value`` may stand where ``hint`` is the type."""
    if hint is Any or hint is None or isinstance(hint, str | TypeVar | ForwardRef):
        return hint is not None or value is None
    if hasattr(hint, "__metadata__"):
        return fits(value, hint.__origin__)
    if isinstance(hint, NewType):
        return fits(value, hint.__supertype__)
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return any(fits(value, None if one is type(None) else one) for one in get_args(hint))
    if origin is Literal:
        return any(value == one and type(value) is type(one) for one in get_args(hint))
    if origin in _WRAPPED:
        return fits(value, get_args(hint)[0])
    if origin is not None:
        return _fits_generic(value, origin, get_args(hint))
    return _fits_class(value, hint)


def _fits_class(value: Any, hint: Any) -> bool:
    if is_keyed(hint):
        return isinstance(value, dict) and _fits_keys(value, hint)
    if not isclass(hint):
        return True
    if isclass(hint) and getattr(hint, "_is_protocol", False):
        return True
    kinds = _NUMBERS.get(hint)
    try:
        if isinstance(value, kinds or hint):
            return True
    except TypeError:  # a class that does not say what its instances are
        return True
    if issubclass(hint, Enum):  # stored as its value by some codecs
        return any(value == one.value for one in hint)
    # A model or dataclass is made of a dict where nodes read it.
    return isinstance(value, dict) and (is_dataclass(hint) or hasattr(hint, "__pydantic_fields__"))


def _fits_keys(value: Mapping[str, Any], hint: Any) -> bool:
    try:
        hints = get_type_hints(hint, include_extras=True)
    except NameError:  # names that nobody can look up here
        return True
    if not hint.__required_keys__ <= value.keys():
        return False
    return all(fits(value[key], one) for key, one in hints.items() if key in value)


def _fits_generic(value: Any, origin: Any, args: tuple[Any, ...]) -> bool:
    if not isclass(origin):
        return True
    try:
        if not isinstance(value, origin):
            return False
    except TypeError:  # as above
        return True
    if isinstance(value, tuple):
        if not args or args == ((),):
            return True
        if len(args) == 2 and args[1] is Ellipsis:
            return all(fits(one, args[0]) for one in value)
        return len(args) != len(value) or all(map(fits, value, args))
    if isinstance(value, Mapping) and len(args) == 2:
        return all(fits(key, args[0]) and fits(one, args[1]) for key, one in value.items())
    if isinstance(value, Sequence | Set) and not isinstance(value, str | bytes) and len(args) == 1:
        return all(fits(one, args[0]) for one in value)
    return True
