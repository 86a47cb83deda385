"""Instances of users' classes: stored as the class's name and the instance's fields, and back.

Going back fills a new instance's fields directly. No constructor, validator, property or ``__setstate__``
runs, except where a class has no other way in: a Struct's own constructor, and pydantic's
``model_post_init``, which builds the private attributes that are not stored.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from enum import Enum, Flag
from functools import cached_property, lru_cache
from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any, NamedTuple

import msgspec

from dashflow.log.codec import codes
from dashflow.log.codec.codes import UnfitError
from dashflow.log.codec.plain import Parts
from dashflow.log.codec.registry import note_stored

Taker = Callable[[Any], Parts]

_EMPTY: Any = object()


def parts_of(kind: type) -> Taker | None:
    """What takes instances of ``kind`` apart; None: they are of no sort that can be stored."""
    for applies, make in _SORTS:
        if applies(kind):
            return make(kind)
    return None


def _given(values: dict[str, Any], name: str, kind: type) -> Any:
    """A field's value, which the stored data or a default must have."""
    value = values.get(name, _EMPTY)
    if value is _EMPTY:
        raise UnfitError(
            f"was stored without the field {name!r}, which {kind.__qualname__} has no default for"
        )
    return value


# -- enums and tuples ---------------------------------------------------------------------------


def _enum(kind: type) -> Taker:
    name = note_stored(kind)
    if issubclass(kind, Flag):
        return lambda value: (codes.ENUM, [name, {"value": value.value}])
    return lambda value: (codes.ENUM, [name, {"name": value.name}])


def _enum_from(kind: Any, fields: dict[str, Any]) -> Any:
    if "value" in fields:
        if not issubclass(kind, Flag):
            raise UnfitError(f"is a combination of flags, and {kind.__qualname__} is no Flag")
        return kind(int(fields["value"]))
    return kind.__members__[fields["name"]]


def _named_tuple(kind: Any) -> Taker:
    name = note_stored(kind)
    fields = kind._fields
    return lambda value: (codes.NAMED_TUPLE, [name, dict(zip(fields, value, strict=True))])


def _named_tuple_from(kind: Any, fields: dict[str, Any]) -> Any:
    values = {**kind._field_defaults, **fields}
    return tuple.__new__(kind, [_given(values, name, kind) for name in kind._fields])


# -- dataclasses and structs --------------------------------------------------------------------


class _Layout(NamedTuple):
    """Where a class's instances keep their attributes; ``derived`` are computed once and kept."""

    slots: dict[str, MemberDescriptorType]
    has_dict: bool
    derived: frozenset[str]


@lru_cache(maxsize=1024)
def _layout(kind: type) -> _Layout:
    slots: dict[str, MemberDescriptorType] = {}
    derived: set[str] = set()
    for base in kind.__mro__:
        for name, member in vars(base).items():
            if isinstance(member, MemberDescriptorType):
                slots.setdefault(name, member)
            elif isinstance(member, cached_property):
                derived.add(name)
    return _Layout(slots, kind.__dictoffset__ != 0, frozenset(derived))


def _slot(member: MemberDescriptorType, value: Any) -> Any:
    try:
        return member.__get__(value, type(value))
    except AttributeError:
        return _EMPTY


def _dataclass(kind: type) -> Taker:
    try:
        object.__new__(kind)
    except TypeError:
        raise UnfitError(
            f"is a dataclass that inherits from a built-in type ({kind.__mro__[-2].__name__})"
        ) from None
    name = note_stored(kind)
    layout = _layout(kind)

    def take(value: Any) -> Parts:
        fields: dict[str, Any] = {}
        for slot, member in layout.slots.items():
            if (part := _slot(member, value)) is not _EMPTY:
                fields[slot] = part
        if layout.has_dict:
            fields.update(value.__dict__)
            for derived in layout.derived:
                fields.pop(derived, None)
        return codes.DATACLASS, [name, fields]

    return take


def _dataclass_from(kind: Any, fields: dict[str, Any]) -> Any:
    """Fields that the class got since it was stored must have defaults."""
    instance = object.__new__(kind)
    layout = _layout(kind)
    values = dict(fields)
    for field in dataclasses.fields(kind):
        if field.name not in values:
            if field.default_factory is not dataclasses.MISSING:
                values[field.name] = field.default_factory()
            elif field.default is not dataclasses.MISSING:
                values[field.name] = field.default
            else:
                _given(values, field.name, kind)
    for name, member in layout.slots.items():
        if name in values:
            member.__set__(instance, values.pop(name))
    if layout.has_dict:
        instance.__dict__.update(values)
    return instance


def _struct(kind: Any) -> Taker:
    name = note_stored(kind)
    fields = kind.__struct_fields__
    return lambda value: (codes.STRUCT, [name, {field: getattr(value, field) for field in fields}])


def _struct_from(kind: Any, fields: dict[str, Any]) -> Any:
    known = kind.__struct_fields__
    return kind(**{name: value for name, value in fields.items() if name in known})


# -- pydantic -----------------------------------------------------------------------------------


def _pydantic(kind: Any) -> Taker:
    name = note_stored(kind)
    return lambda value: (codes.PYDANTIC, [name, *pydantic_fields(value)])


def pydantic_fields(value: Any) -> list[Any]:
    """A model's fields, then, unless all were given, the names of those that were, then extra ones."""
    held = value.__dict__
    fields = {field: held[field] for field in type(value).__pydantic_fields__ if field in held}
    given = value.__pydantic_fields_set__
    extra = value.__pydantic_extra__
    if extra:
        return [fields, sorted(given), extra]
    return [fields] if given == fields.keys() else [fields, sorted(given)]


def pydantic_from(kind: Any, fields: dict[str, Any], rest: list[Any]) -> Any:
    """A model with these fields; those it got since it was stored must have defaults."""
    make = _makers.get(kind)
    if make is None:
        if len(_makers) >= _MOST_MAKERS:
            _makers.clear()
        make = _makers[kind] = _making(kind) or _slowly
    return make(kind, fields, rest)


_Make = Callable[[Any, dict[str, Any], list[Any]], Any]

_makers: dict[Any, _Make] = {}
"""What ``_making`` made. Emptied when it has grown large: a program may make classes without end."""

_MOST_MAKERS = 1024


def _slowly(kind: Any, fields: dict[str, Any], rest: list[Any]) -> Any:
    """``pydantic_from`` for any model, field by field."""
    given = set(rest[0]) if rest else set(fields)
    extra = rest[1] if len(rest) > 1 else None
    values: dict[str, Any] = {}
    for name, make_default in _defaults(kind).items():
        if name in fields:
            values[name] = fields[name]
        elif make_default is None:
            _given(fields, name, kind)
        else:
            values[name] = make_default(values)
    instance = object.__new__(kind)
    put = object.__setattr__
    put(instance, "__dict__", values)
    put(instance, "__pydantic_fields_set__", given & values.keys() | set(extra or ()))
    if not kind.__pydantic_root_model__:
        if extra is None and kind.model_config.get("extra") == "allow":
            extra = {}
        put(instance, "__pydantic_extra__", extra)
        put(instance, "__pydantic_private__", None)
    if kind.__pydantic_post_init__:
        instance.model_post_init(None)
    return instance


def _making(kind: Any) -> _Make | None:
    """``_slowly`` for one class, prepared: a conversation is made of a few classes and many instances.

    None for classes with a field whose default depends on those before it, and for root models.
    """
    fields = kind.__pydantic_fields__
    if kind.__pydantic_root_model__ or any(
        getattr(field, "default_factory_takes_validated_data", False) for field in fields.values()
    ):
        return None
    usual, fresh = _usual(fields)
    required = [name for name, field in fields.items() if field.is_required()]
    count, known, start = len(usual), usual.keys(), usual.copy
    allows, completes = kind.model_config.get("extra") == "allow", bool(kind.__pydantic_post_init__)
    # What ``object.__setattr__`` would look up each time.
    fill, told, more, private = (_setter(kind, f"__{name}__") for name in _HELD)
    new = object.__new__

    def make(kind: Any, fields: dict[str, Any], rest: list[Any]) -> Any:
        values = start()
        values.update(fields)
        if len(values) > count:  # it had more fields when it was stored
            fields = {name: fields[name] for name in known if name in fields}
            values = {**usual, **fields}
        for name in required:
            if values[name] is _EMPTY:
                _given({}, name, kind)
        for name, default in fresh:
            if name not in fields:
                values[name] = default()
        instance = new(kind)
        fill(instance, values)
        if rest:
            extra = rest[1] if len(rest) > 1 else None
            told(instance, set(rest[0]) & known | set(extra or ()))
            more(instance, {} if extra is None and allows else extra)
        else:
            told(instance, set(fields))
            more(instance, {} if allows else None)
        private(instance, None)
        if completes:
            instance.model_post_init(None)
        return instance

    return make


def _usual(fields: dict[str, Any]) -> tuple[dict[str, Any], list[tuple[str, Callable[[], Any]]]]:
    """A model's fields at their defaults, in order, so that each has its place; and what makes those defaults
    that every instance has one of its own of."""
    usual: dict[str, Any] = {}
    fresh: list[tuple[str, Callable[[], Any]]] = []
    for name, field in fields.items():
        usual[name] = _EMPTY
        if field.is_required():
            continue
        if field.default_factory is not None:
            fresh.append((name, field.default_factory))
        elif isinstance(field.default, _IMMUTABLE):
            usual[name] = field.default
        else:
            fresh.append((name, field.get_default))
    return usual, fresh


_HELD = ("dict", "pydantic_fields_set", "pydantic_extra", "pydantic_private")
"""What an instance of a model is made of."""


def _setter(kind: type, name: str) -> Callable[[Any, Any], None]:
    """What sets one of these."""
    for base in kind.__mro__:
        if isinstance(member := vars(base).get(name), (MemberDescriptorType, GetSetDescriptorType)):
            return member.__set__
    raise UnfitError(f"is a model without {name}, which this version of DashFlow does not know")


@lru_cache(maxsize=1024)
def _defaults(kind: Any) -> dict[str, Callable[[dict[str, Any]], Any] | None]:
    """For each field what makes its default from the values before it; None: it is required."""
    return {
        name: None if field.is_required() else _default_maker(field)
        for name, field in kind.__pydantic_fields__.items()
    }


def _default_maker(field: Any) -> Callable[[dict[str, Any]], Any]:
    if field.default_factory is None and isinstance(field.default, _IMMUTABLE):
        return lambda values: field.default
    if getattr(field, "default_factory_takes_validated_data", False):
        return lambda values: field.get_default(call_default_factory=True, validated_data=values)
    if field.default_factory is not None:
        return lambda values: field.default_factory()
    return lambda values: field.get_default()


_IMMUTABLE = (type(None), bool, int, float, str, bytes)
"""Types of defaults that need no copying."""


def _pydantic_v1(kind: Any) -> Taker:
    name = note_stored(kind)

    def take(value: Any) -> Parts:
        return codes.PYDANTIC_V1, [name, dict(value.__dict__), sorted(value.__fields_set__)]

    return take


def _pydantic_v1_from(kind: Any, fields: dict[str, Any], rest: list[Any]) -> Any:
    values = dict(fields)
    for name, field in kind.__fields__.items():
        if name not in values:
            if field.required:
                _given(values, name, kind)
            values[name] = field.get_default()
    instance = object.__new__(kind)
    object.__setattr__(instance, "__dict__", values)
    object.__setattr__(instance, "__fields_set__", set(rest[0]))
    instance._init_private_attributes()
    return instance


# -- subclasses of built-in types ---------------------------------------------------------------

_BARE: dict[type, Callable[[Any], Any]] = {
    str: str.__str__,
    int: int.__int__,
    float: float.__float__,
    bytes: lambda value: bytes(memoryview(value)),
    list: lambda value: list(list.__iter__(value)),
    dict: lambda value: dict(dict.items(value)),
    tuple: lambda value: tuple(tuple.__iter__(value)),
    set: lambda value: set(set.__iter__(value)),
    frozenset: lambda value: frozenset(frozenset.__iter__(value)),
}
"""The plain value inside of an instance of a subclass, whatever the subclass overrides."""


def _is_subclass(kind: type) -> bool:
    return issubclass(kind, tuple(_BARE)) and not issubclass(kind, (OrderedDict, defaultdict, bool))


def _subclass(kind: type) -> Taker:
    name = note_stored(kind)
    bare = next(bare for base, bare in _BARE.items() if issubclass(kind, base))
    layout = _layout(kind)
    if layout.slots:
        raise UnfitError(f"is of {kind.__qualname__}, a built-in type with slots of its own")

    def take(value: Any) -> Parts:
        fields = {"value": bare(value)}
        if layout.has_dict and value.__dict__:
            fields["attributes"] = dict(value.__dict__)
        return codes.SUBCLASS, [name, fields]

    return take


def _subclass_from(kind: Any, fields: dict[str, Any]) -> Any:
    value = fields["value"]
    base = type(value)
    if base not in _BARE or not issubclass(kind, base):
        raise UnfitError(f"was stored as a {base.__name__}, which {kind.__qualname__} is not")
    if base is list:
        instance = list.__new__(kind)
        list.extend(instance, value)
    elif base is dict:
        instance = dict.__new__(kind)
        dict.update(instance, value)
    elif base is set:
        instance = set.__new__(kind)
        set.update(instance, value)
    else:
        instance = base.__new__(kind, value)
    if "attributes" in fields:
        instance.__dict__.update(fields["attributes"])
    return instance


# -- which is which -----------------------------------------------------------------------------

_SORTS: tuple[tuple[Callable[[type], bool], Callable[[type], Taker]], ...] = (
    (lambda kind: issubclass(kind, Enum), _enum),
    (lambda kind: issubclass(kind, tuple) and hasattr(kind, "_fields"), _named_tuple),
    (lambda kind: hasattr(kind, "__pydantic_fields_set__"), _pydantic),
    (lambda kind: hasattr(kind, "__fields_set__") and hasattr(kind, "__fields__"), _pydantic_v1),
    (lambda kind: issubclass(kind, msgspec.Struct), _struct),
    (lambda kind: hasattr(kind, "__dataclass_fields__"), _dataclass),
    (_is_subclass, _subclass),
)

FROM: dict[int, Callable[[Any, dict[str, Any], list[Any]], Any]] = {
    codes.ENUM: lambda kind, fields, rest: _enum_from(kind, fields),
    codes.NAMED_TUPLE: lambda kind, fields, rest: _named_tuple_from(kind, fields),
    codes.DATACLASS: lambda kind, fields, rest: _dataclass_from(kind, fields),
    codes.STRUCT: lambda kind, fields, rest: _struct_from(kind, fields),
    codes.PYDANTIC: pydantic_from,
    codes.PYDANTIC_V1: _pydantic_v1_from,
    codes.SUBCLASS: lambda kind, fields, rest: _subclass_from(kind, fields),
}

FITS: dict[int, Callable[[type], bool]] = {
    code: applies
    for code, (applies, _) in zip(
        (
            codes.ENUM,
            codes.NAMED_TUPLE,
            codes.PYDANTIC,
            codes.PYDANTIC_V1,
            codes.STRUCT,
            codes.DATACLASS,
            codes.SUBCLASS,
        ),
        _SORTS,
        strict=True,
    )
}
"""Whether a class is of the sort that an instance was stored as."""
