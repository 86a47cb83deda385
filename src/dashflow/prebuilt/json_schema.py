"""Check a value against a JSON Schema, and say in words what is wrong and where.

Knows the validating keywords of draft 2020-12 and local references; a schema with any other is refused, so
that nothing is silently left unchecked. Source: JSON Schema Validation, draft 2020-12. Pure.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

__all__ = ("JsonSchema",)

Problems = Iterator[str]
Check = Callable[["JsonSchema", Any, Any, Mapping[str, Any], str], Problems]

_ANNOTATIONS = frozenset(
    (
        "$anchor", "$comment", "$defs", "$id", "$schema", "contentEncoding", "contentMediaType", "default",
        "definitions", "deprecated", "description", "discriminator", "example", "examples", "format", "name",
        "nullable", "readOnly", "strict", "title", "writeOnly",
    )
)  # fmt: skip
_KINDS: dict[str, Callable[[Any], bool]] = {
    "null": lambda v: v is None,
    "boolean": lambda v: isinstance(v, bool),
    "integer": lambda v: _is_number(v) and float(v).is_integer(),
    "number": lambda v: _is_number(v),
    "string": lambda v: isinstance(v, str),
    "array": lambda v: isinstance(v, list),
    "object": lambda v: isinstance(v, dict),
}


class JsonSchema:
    """A JSON Schema, checked itself.

    Args:
        schema: The schema; True and False are schemas, too.

    Raises:
        ValueError: It has a keyword that is not checked here, an unknown type, or a reference that leads
            nowhere.
    """

    def __init__(self, schema: Mapping[str, Any] | bool) -> None:
        self.schema = schema
        self._inspect(schema, "#")

    def problems(self, value: Any) -> list[str]:
        """What is wrong with ``value``; nothing when it fits."""
        return list(self._check(value, self.schema, "answer"))

    # -- the schema itself ----------------------------------------------------------------------

    def _inspect(self, schema: Any, place: str) -> None:
        if isinstance(schema, bool):
            return
        if not isinstance(schema, Mapping):
            raise ValueError(f"{place}: a JSON Schema is an object, not {type(schema).__name__}.")
        for keyword, given in schema.items():
            inside = f"{place}/{keyword}"
            for name, inner in _parts(keyword, given):
                self._inspect(inner, inside + name)
            if keyword == "$ref":
                self._resolve(given)
            elif keyword == "type":
                unknown = {*([given] if isinstance(given, str) else given)} - _KINDS.keys()
                if unknown:
                    raise ValueError(
                        f"{inside}: unknown type {min(unknown)!r}; known are {', '.join(_KINDS)}."
                    )
            elif keyword not in _KNOWN:
                raise ValueError(
                    f"{inside}: the keyword {keyword!r} cannot be checked; say it in other keywords, "
                    "or give a pydantic model."
                )

    def _resolve(self, reference: str) -> Any:
        found: Any = self.schema
        if reference != "#" and not reference.startswith("#/"):
            raise ValueError(f"$ref {reference!r} leads out of the schema; put what it names under $defs.")
        for step in reference.split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            try:
                found = found[int(key) if isinstance(found, list) else key]
            except (KeyError, IndexError, ValueError, TypeError):
                raise ValueError(f"$ref {reference!r} leads nowhere.") from None
        return found

    # -- values ---------------------------------------------------------------------------------

    def _check(self, value: Any, schema: Any, place: str) -> Problems:
        if schema is True:
            return
        if schema is False:
            yield f"{place}: nothing is allowed here"
            return
        kinds = schema.get("type")
        if kinds is not None and not (value is None and schema.get("nullable")):
            wanted = [kinds] if isinstance(kinds, str) else kinds
            if not any(_KINDS[kind](value) for kind in wanted):
                yield f"{place}: expected {' or '.join(wanted)}, got {_shown(value)}"
                return
        for keyword, given in schema.items():
            check = _CHECKS.get(keyword)
            if check is not None:
                yield from check(self, value, given, schema, place)

    def fits(self, value: Any, schema: Any) -> bool:
        """Whether ``value`` has no problem under a part of the schema."""
        return next(self._check(value, schema, ""), None) is None


def _parts(keyword: str, given: Any) -> list[tuple[str, Any]]:
    """The schemas inside of a keyword, and where."""
    if keyword in _IN_MAPPINGS:
        return [(f"/{name}", inner) for name, inner in given.items()]
    if keyword in _IN_LISTS:
        return [(f"/{number}", inner) for number, inner in enumerate(given)]
    return [("", given)] if keyword in _IN_PLACE else []


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _same(one: Any, other: Any) -> bool:
    """Equality of JSON: true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    return bool(one == other)


def _size(kind: type, words: str, wrong: Callable[[int, int], bool]) -> Check:
    def check(root: JsonSchema, value: Any, given: Any, schema: Any, place: str) -> Problems:
        if isinstance(value, kind) and wrong(len(value), given):  # type: ignore[arg-type]  # kinds have a length
            yield f"{place}: {words} {given}"

    return check


def _bound(words: str, outside: Callable[[Any, Any], bool]) -> Check:
    def check(root: JsonSchema, value: Any, given: Any, schema: Any, place: str) -> Problems:
        if _is_number(value) and outside(value, given):
            yield f"{place}: {_shown(value)} is {words} {given}"

    return check


def _reference(root: JsonSchema, value: Any, given: Any, schema: Any, place: str) -> Problems:
    yield from root._check(value, root._resolve(given), place)


def _enum(root: JsonSchema, value: Any, given: Any, schema: Any, place: str) -> Problems:
    if not any(_same(value, allowed) for allowed in given):
        yield f"{place}: {_shown(value)} is none of {', '.join(map(repr, given))}"


def _const(root: JsonSchema, value: Any, given: Any, schema: Any, place: str) -> Problems:
    if not _same(value, given):
        yield f"{place}: expected {given!r}, got {_shown(value)}"


def _multiple(root: JsonSchema, value: Any, given: Any, schema: Any, place: str) -> Problems:
    if _is_number(value) and not math.isclose(
        round(value / given) * given, value, rel_tol=1e-9, abs_tol=1e-12
    ):
        yield f"{place}: {_shown(value)} is no multiple of {given}"


def _pattern(root: JsonSchema, value: Any, given: Any, schema: Any, place: str) -> Problems:
    if isinstance(value, str) and re.search(given, value) is None:
        yield f"{place}: {_shown(value)} does not match {given!r}"


def _prefix(root: JsonSchema, value: Any, given: Any, schema: Any, place: str) -> Problems:
    if isinstance(value, list):
        for number, (member, inner) in enumerate(zip(value, given, strict=False)):
            yield from root._check(member, inner, f"{place}[{number}]")


def _items(root: JsonSchema, value: Any, given: Any, schema: Any, place: str) -> Problems:
    if isinstance(value, list):
        first = len(schema.get("prefixItems", ()))
        for number, member in enumerate(value[first:], first):
            yield from root._check(member, given, f"{place}[{number}]")


def _unique(root: JsonSchema, value: Any, given: Any, schema: Any, place: str) -> Problems:
    if given and isinstance(value, list):
        for number, member in enumerate(value):
            if any(_same(member, earlier) for earlier in value[:number]):
                yield f"{place}[{number}]: {_shown(member)} is there already"


def _contains(root: JsonSchema, value: Any, given: Any, schema: Any, place: str) -> Problems:
    if isinstance(value, list):
        count = sum(root.fits(member, given) for member in value)
        if count < schema.get("minContains", 1):
            yield f"{place}: too few members of the kind that 'contains' asks for"
        if count > schema.get("maxContains", len(value)):
            yield f"{place}: too many members of the kind that 'contains' asks for"


def _properties(root: JsonSchema, value: Any, given: Any, schema: Any, place: str) -> Problems:
    if isinstance(value, dict):
        for key, inner in given.items():
            if key in value:
                yield from root._check(value[key], inner, f"{place}.{key}")


def _required(root: JsonSchema, value: Any, given: Any, schema: Any, place: str) -> Problems:
    if isinstance(value, dict):
        for key in given:
            if key not in value:
                yield f"{place}: the key {key!r} is missing"


def _patterns(root: JsonSchema, value: Any, given: Any, schema: Any, place: str) -> Problems:
    if isinstance(value, dict):
        for pattern, inner in given.items():
            for key in value:
                if re.search(pattern, key):
                    yield from root._check(value[key], inner, f"{place}.{key}")


def _additional(root: JsonSchema, value: Any, given: Any, schema: Any, place: str) -> Problems:
    if isinstance(value, dict):
        for key in value:
            if key in schema.get("properties", ()):
                continue
            if any(re.search(pattern, key) for pattern in schema.get("patternProperties", ())):
                continue
            if given is False:
                yield f"{place}: the key {key!r} is not allowed"
            else:
                yield from root._check(value[key], given, f"{place}.{key}")


def _names(root: JsonSchema, value: Any, given: Any, schema: Any, place: str) -> Problems:
    if isinstance(value, dict):
        for key in value:
            yield from root._check(key, given, f"{place}: key {key!r}")


def _dependent(root: JsonSchema, value: Any, given: Any, schema: Any, place: str) -> Problems:
    if isinstance(value, dict):
        for key, needed in given.items():
            for other in needed:
                if key in value and other not in value:
                    yield f"{place}: the key {other!r} is missing, {key!r} needs it"


def _all(root: JsonSchema, value: Any, given: Any, schema: Any, place: str) -> Problems:
    for inner in given:
        yield from root._check(value, inner, place)


def _any(root: JsonSchema, value: Any, given: Any, schema: Any, place: str) -> Problems:
    tried = [list(root._check(value, inner, place)) for inner in given]
    if all(tried):
        yield f"{place}: fits no alternative ({'; '.join(problems[0] for problems in tried)})"


def _one(root: JsonSchema, value: Any, given: Any, schema: Any, place: str) -> Problems:
    fitting = sum(root.fits(value, inner) for inner in given)
    if not fitting:
        yield from _any(root, value, given, schema, place)
    elif fitting > 1:
        yield f"{place}: fits {fitting} alternatives, not one"


def _not(root: JsonSchema, value: Any, given: Any, schema: Any, place: str) -> Problems:
    if root.fits(value, given):
        yield f"{place}: {_shown(value)} is what 'not' excludes"


def _if(root: JsonSchema, value: Any, given: Any, schema: Any, place: str) -> Problems:
    branch = "then" if root.fits(value, given) else "else"
    yield from root._check(value, schema.get(branch, True), place)


_IN_MAPPINGS = frozenset(("$defs", "definitions", "properties", "patternProperties"))
_IN_LISTS = frozenset(("allOf", "anyOf", "oneOf", "prefixItems"))
_IN_PLACE = frozenset(
    ("additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then")
)
_CHECKS: dict[str, Check] = {
    "$ref": _reference,
    "additionalProperties": _additional,
    "allOf": _all,
    "anyOf": _any,
    "const": _const,
    "contains": _contains,
    "dependentRequired": _dependent,
    "enum": _enum,
    "exclusiveMaximum": _bound("not less than", operator.ge),
    "exclusiveMinimum": _bound("not greater than", operator.le),
    "if": _if,
    "items": _items,
    "maxItems": _size(list, "more members than", operator.gt),
    "maxLength": _size(str, "longer than", operator.gt),
    "maxProperties": _size(dict, "more keys than", operator.gt),
    "maximum": _bound("greater than", operator.gt),
    "minItems": _size(list, "fewer members than", operator.lt),
    "minLength": _size(str, "shorter than", operator.lt),
    "minProperties": _size(dict, "fewer keys than", operator.lt),
    "minimum": _bound("less than", operator.lt),
    "multipleOf": _multiple,
    "not": _not,
    "oneOf": _one,
    "pattern": _pattern,
    "patternProperties": _patterns,
    "prefixItems": _prefix,
    "properties": _properties,
    "propertyNames": _names,
    "required": _required,
    "uniqueItems": _unique,
}
_ELSEWHERE = ("else", "maxContains", "minContains", "then", "type")  # with the keyword they belong to
_KNOWN = frozenset((*_ANNOTATIONS, *_CHECKS, *_ELSEWHERE))
