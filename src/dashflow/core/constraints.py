"""Rules that a type puts on a value, by ``Annotated``: compiled once into a check, which says what is broken.

Understood are the vocabularies of ``annotated_types``, msgspec and pydantic; none of them is imported, their
objects are known by what they have. A type without rules has no check, and costs nothing.
"""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from inspect import isclass
from typing import (
    Any,
    NamedTuple,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec

from dashflow.core.fingerprint import type_text
from dashflow.core.fitting import fits, is_keyed


class Broken(NamedTuple):
    """A broken rule: where in the value, what is there, and the rule in words."""

    path: str
    value: Any
    rule: str


Check = Callable[[Any], Broken | None]
"""Looks at a value; None: it keeps all rules."""
Rule = tuple[Callable[[Any], bool], str]

_VOCABULARIES = frozenset({"annotated_types", "msgspec", "pydantic", "pydantic_core"})
_WRAPPED = (Required, NotRequired)


def check_of(hint: Any, *, strict: bool = False, lenient: bool = False) -> Check | None:
    """The check of a type.

    Args:
        hint: The type.
        strict: Whether values must also be of the type.
        lenient: Whether a value that a rule cannot be asked of keeps it: somebody else will make it fit.
    """
    return _Compiler(strict, lenient).check(hint)


def model_checks(kind: Any, *, strict: bool = False) -> dict[str, Check]:
    """The checks of a pydantic model's fields, which may have rules beside their annotation."""
    compiler = _Compiler(strict, lenient=True)
    found = {}
    for name, field in kind.model_fields.items():
        check = compiler.annotated(field.annotation, field.metadata)
        if check is not None:
            found[name] = check
    return found


class _Compiler:
    def __init__(self, strict: bool, lenient: bool = False) -> None:
        self._strict = strict
        self._lenient = lenient
        self._open: list[Any] = []

    def check(self, hint: Any) -> Check | None:
        """See ``check_of``."""
        if hasattr(hint, "__metadata__"):
            return self.annotated(hint.__origin__, hint.__metadata__)
        origin, args = get_origin(hint), get_args(hint)
        if origin in _WRAPPED:
            return self.check(args[0])
        if origin in (Union, types.UnionType):
            return self._union(hint, args)
        inner = self._container(origin, args) if origin is not None else self._fields(hint)
        if not self._strict:
            return inner
        return _both(_fitting(hint), inner)

    def annotated(self, hint: Any, metadata: Iterable[Any]) -> Check | None:
        """The check of a type with what ``Annotated`` adds to it."""
        rules = [rule for one in metadata for rule in _rules(one)]
        inner = self.check(hint)
        if not rules:
            return inner
        lenient = self._lenient
        optional = get_origin(hint) in (Union, types.UnionType) and type(None) in get_args(hint)

        def keeps(value: Any) -> Broken | None:
            if value is None and optional:
                return None
            for rule, text in rules:
                try:
                    kept = rule(value)
                except (TypeError, AttributeError):  # it cannot be asked of such a value
                    kept = lenient
                if not kept:
                    return Broken("", value, text)
            return None

        return _both(inner, keeps)

    def _union(self, hint: Any, args: tuple[Any, ...]) -> Check | None:
        """One of the types whose kind the value is must be content."""
        members = [(None if one is type(None) else one, self.check(one)) for one in args]
        if all(check is None for _, check in members):
            return _fitting(hint) if self._strict else None

        def any_of(value: Any) -> Broken | None:
            broken = None
            for member, check in members:
                if fits(value, member):
                    found = None if check is None else check(value)
                    if found is None:
                        return None
                    broken = broken or found
            if broken is None and self._strict:
                return Broken("", value, type_text(hint))
            return broken

        return any_of

    def _container(self, origin: Any, args: tuple[Any, ...]) -> Check | None:
        if not isclass(origin):
            return None
        if issubclass(origin, Mapping) and len(args) == 2:
            return _of_values(self.check(args[1]))
        if issubclass(origin, tuple) and not (len(args) == 2 and args[1] is Ellipsis):
            return _of_places([self.check(one) for one in args])
        if issubclass(origin, Sequence | Set) and args:
            return _of_elements(self.check(args[0]))
        return None

    def _fields(self, kind: Any) -> Check | None:
        """Of a TypedDict, dataclass or Struct; models of pydantic look after themselves."""
        if not isclass(kind) or kind in self._open:
            return None
        struct = issubclass(kind, msgspec.Struct)
        if not (is_keyed(kind) or is_dataclass(kind) or struct):
            return None
        self._open.append(kind)
        try:
            hints = get_type_hints(kind, include_extras=True)
            names = [field.name for field in fields(kind)] if is_dataclass(kind) else [*hints]
            checks = {name: check for name in names if (check := self.check(hints[name])) is not None}
        except NameError:  # names that nobody can look up here
            return None
        finally:
            self._open.pop()
        return _of_fields(checks) if checks else None


def _both(one: Check | None, other: Check | None) -> Check | None:
    if one is None or other is None:
        return one or other
    return lambda value: one(value) or other(value)


def _fitting(hint: Any) -> Check | None:
    if hint is Any:
        return None
    text = type_text(hint)
    return lambda value: None if fits(value, hint) else Broken("", value, f"a {text}")


def _within(place: str, found: Broken) -> Broken:
    joined = found.path if found.path.startswith("[") or not found.path else f".{found.path}"
    return found._replace(path=f"{place}{joined}")


def _first(checks: Iterable[tuple[str, Any, Check | None]]) -> Broken | None:
    for place, value, check in checks:
        found = None if check is None else check(value)
        if found is not None:
            return _within(place, found)
    return None


def _of_elements(check: Check | None) -> Check | None:
    if check is None:
        return None

    def elements(value: Any) -> Broken | None:
        if isinstance(value, str | bytes) or not isinstance(value, Sequence | Set):
            return None
        return _first((f"[{number}]", one, check) for number, one in enumerate(value))

    return elements


def _of_places(checks: list[Check | None]) -> Check | None:
    if all(check is None for check in checks):
        return None

    def places(value: Any) -> Broken | None:
        if not isinstance(value, tuple | list):
            return None
        return _first((f"[{number}]", *pair) for number, pair in enumerate(zip(value, checks, strict=False)))

    return places


def _of_values(check: Check | None) -> Check | None:
    if check is None:
        return None

    def values(value: Any) -> Broken | None:
        if not isinstance(value, Mapping):
            return None
        return _first((f"[{key!r}]", one, check) for key, one in value.items())

    return values


def _of_fields(checks: Mapping[str, Check]) -> Check:
    def of_object(value: Any) -> Broken | None:
        if isinstance(value, Mapping):
            return _first((name, value[name], check) for name, check in checks.items() if name in value)
        return _first(
            (name, getattr(value, name), check) for name, check in checks.items() if hasattr(value, name)
        )

    return of_object


# -- rules ------------------------------------------------------------------------------------------


def _rules(metadata: Any) -> Iterable[Rule]:
    """The rules that one thing in an ``Annotated`` stands for."""
    kind = type(metadata)
    if kind.__module__.partition(".")[0] not in _VOCABULARIES:
        return
    nested = getattr(metadata, "metadata", None)  # pydantic's Field(...)
    if isinstance(nested, list | tuple):
        for one in nested:
            yield from _rules(one)
        return
    yield from _named(metadata)
    function = getattr(metadata, "func", None)
    if kind.__module__ == "annotated_types" and callable(function):
        name = getattr(function, "__qualname__", repr(function))
        if kind.__name__ == "Not":
            yield (lambda value: not function(value)), f"something for which {name} is false"
        else:
            yield (lambda value: bool(function(value))), f"something for which {name} is true"


def _named(metadata: Any) -> Iterable[Rule]:
    for name, (rule, text) in _RULES.items():
        limit = getattr(metadata, name, None)
        if limit is not None and not callable(limit):
            if name == "pattern":
                limit = re.compile(limit) if isinstance(limit, str) else limit
            if name == "min_length" and limit == 0:
                continue
            shown = limit.pattern if name == "pattern" else limit
            yield _bound(rule, limit), text.format(shown)


def _bound(rule: Callable[[Any, Any], bool], limit: Any) -> Callable[[Any], bool]:
    return lambda value: bool(rule(value, limit))


_RULES: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "gt": (lambda value, limit: value > limit, "> {}"),
    "ge": (lambda value, limit: value >= limit, ">= {}"),
    "lt": (lambda value, limit: value < limit, "< {}"),
    "le": (lambda value, limit: value <= limit, "<= {}"),
    "multiple_of": (lambda value, limit: value % limit == 0, "a multiple of {}"),
    "min_length": (lambda value, limit: len(value) >= limit, "at least {} long"),
    "max_length": (lambda value, limit: len(value) <= limit, "at most {} long"),
    "pattern": (lambda value, limit: limit.search(value) is not None, "text that matches {}"),
}
"""What an attribute of a constraint asks of a value."""
