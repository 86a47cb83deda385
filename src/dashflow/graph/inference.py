"""Schemas found out: from samples of a state, or from what a graph's nodes say and do. Runs no node.

What is found is a proposal for people: source of a TypedDict, a JSON Schema, or a type to try at once.
"""

from __future__ import annotations

import ast
import inspect
import keyword
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any, NotRequired, TypedDict, Union, get_type_hints

import msgspec

from dashflow.core.fingerprint import type_text
from dashflow.core.fitting import is_keyed

__all__ = ("InferredSchema", "infer_from_nodes", "infer_from_samples")

_SCALARS: dict[type, tuple[str, str]] = {
    bool: ("bool", "boolean"),
    int: ("int", "integer"),
    float: ("float", "number"),
    str: ("str", "string"),
    bytes: ("bytes", "string"),
    type(None): ("None", "null"),
}
_NAMES = {name: kind for kind, (name, _) in _SCALARS.items()}


class Shape(msgspec.Struct):
    """What was seen at one place.

    Attributes:
        scalars: Names of the plain types.
        items: What lists there hold; None: no list was seen.
        keys: What objects there hold, by key; None: no object was seen.
        seen: How many values.
        objects: How many of them were objects.
    """

    scalars: set[str] = msgspec.field(default_factory=set)
    items: Shape | None = None
    keys: dict[str, Shape] | None = None
    seen: int = 0
    objects: int = 0

    def take(self, value: Any) -> None:
        """Learn from a value."""
        self.seen += 1
        if isinstance(value, Mapping):
            self.objects += 1
            self.keys = self.keys or {}
            for key, one in value.items():
                self.keys.setdefault(str(key), Shape()).take(one)
        elif isinstance(value, list | tuple | set | frozenset):
            self.items = self.items or Shape()
            for one in value:
                self.items.take(one)
        else:
            known = _SCALARS.get(type(value))
            self.scalars.add(known[0] if known else "Any")
        if {"int", "float"} <= self.scalars:
            self.scalars.discard("int")


class Field(msgspec.Struct, frozen=True):
    """A key: what it holds, and whether every sample or node has it."""

    shape: Shape
    required: bool = True


class InferredSchema(msgspec.Struct, frozen=True):
    """What was found out.

    Attributes:
        name: Of the type.
        fields: By key.
        notes: What could not be told for sure, for people.
    """

    name: str
    fields: dict[str, Field]
    notes: tuple[str, ...] = ()

    def json_schema(self) -> dict[str, Any]:
        """As JSON Schema."""
        schema = _object({key: field.shape for key, field in self.fields.items()}, self._required())
        return {"title": self.name, **schema}

    def source(self) -> str:
        """As Python: TypedDicts, the inner ones first."""
        classes: list[str] = []
        body = _body(
            self.name, {key: field.shape for key, field in self.fields.items()}, self._required(), classes
        )
        text = "\n\n\n".join([*classes, body])
        names = [name for name in ("Any", "NotRequired", "TypedDict") if name in text]
        return f"from typing import {', '.join(names)}\n\n\n{text}\n"

    def type(self) -> Any:
        """As a type that ``StateGraph`` takes."""
        found = {key: _hint(self.name, key, field.shape) for key, field in self.fields.items()}
        needed = self._required()
        hints = {key: hint if key in needed else NotRequired[hint] for key, hint in found.items()}
        return TypedDict(self.name, hints)  # type: ignore[operator]

    def _required(self) -> set[str]:
        return {key for key, field in self.fields.items() if field.required}


def infer_from_samples(samples: Iterable[Mapping[str, Any]], name: str = "State") -> InferredSchema:
    """The schema that all of these states fit.

    Args:
        samples: States, as dicts.
        name: For the type.

    Raises:
        ValueError: There is none.
        TypeError: One is no dict.
    """
    whole = Shape()
    for sample in samples:
        if not isinstance(sample, Mapping):
            raise TypeError(f"A sample of a state is a dict, and not a {type(sample).__name__}: {sample!r}")
        whole.take(sample)
    if not whole.seen:
        raise ValueError("There are no samples to learn from.")
    fields = {key: Field(one, one.seen == whole.objects) for key, one in (whole.keys or {}).items()}
    return InferredSchema(name, fields)


# -- from nodes -------------------------------------------------------------------------------------


def infer_from_nodes(*nodes: Any, name: str = "State") -> InferredSchema:
    """The schema that these functions (or the nodes of a graph) read and write.

    Types come from the annotations of first parameters and returned values; keys of plain dicts from
    ``state["key"]``, ``state.get("key")`` and the dicts that are returned, as far as the source can be read.

    Raises:
        ValueError: Nothing is known of any of them.
    """
    hints: dict[str, dict[str, Any]] = {}
    notes: list[str] = []
    for node in _functions(nodes):
        for key, hint in (_declared(node) or _read(node)).items():
            found = hints.setdefault(key, {})
            found.setdefault(type_text(hint), hint)
    if not hints:
        raise ValueError("Nothing is known of what these nodes read and write: annotate one of them.")
    fields = {}
    for key, found in hints.items():
        known = {text: hint for text, hint in found.items() if hint is not Any} or found
        if len(known) > 1:
            notes.append(f"{key!r} is {' and '.join(sorted(known))} in different nodes")
        shape = Shape(seen=1)
        for hint in known.values():
            _learn(shape, hint)
        fields[key] = Field(shape, required=False)
    return InferredSchema(name, fields, tuple(notes))


def _functions(nodes: Iterable[Any]) -> Iterable[Any]:
    for node in nodes:
        builder = getattr(node, "builder", node)
        specs = getattr(builder, "nodes", None)
        if isinstance(specs, Mapping):
            yield from (spec.action for spec in specs.values())
        else:
            yield node


def _declared(function: Any) -> dict[str, Any]:
    """The keys of the classes that a function's first parameter and result are annotated with."""
    try:
        hints = get_type_hints(function, include_extras=True)
        first = next(iter(inspect.signature(function).parameters), "")
    except (NameError, TypeError, ValueError):
        return {}
    found: dict[str, Any] = {}
    for kind in (hints.get(first), hints.get("return")):
        if inspect.isclass(kind) and getattr(kind, "__annotations__", None):
            found |= {key: hint for key, hint in get_type_hints(kind).items() if not key.startswith("__")}
    return found


def _read(function: Any) -> dict[str, Any]:
    """The keys that a function of a plain dict names in its source."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return {}
    definition = next(
        (
            one
            for one in ast.walk(tree)
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        ),
        None,
    )
    if definition is None or not definition.args.args:
        return {}
    reader = _Keys(definition.args.args[0].arg)
    body = definition.body if isinstance(definition.body, list) else [ast.Return(definition.body)]
    for statement in body:
        reader.visit(statement)
    return reader.found


class _Keys(ast.NodeVisitor):
    """Collects the keys of a state that a function reads or returns."""

    def __init__(self, state: str) -> None:
        self._state = state
        self.found: dict[str, Any] = {}

    def _note(self, key: Any, hint: Any = Any) -> None:
        if isinstance(key, str) and self.found.get(key, Any) is Any:
            self.found[key] = hint

    def visit_Subscript(self, node: ast.Subscript) -> None:  # ast's name
        """``state["key"]``."""
        if self._is_state(node.value) and isinstance(node.slice, ast.Constant):
            self._note(node.slice.value)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """``state.get("key")``."""
        method = node.func
        if (
            isinstance(method, ast.Attribute)
            and method.attr == "get"
            and self._is_state(method.value)
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            self._note(node.args[0].value)
        self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> None:
        """``return {"key": value}``."""
        if isinstance(node.value, ast.Dict):
            for key, value in zip(node.value.keys, node.value.values, strict=True):
                if isinstance(key, ast.Constant):
                    self._note(key.value, _type_of(value))
        self.generic_visit(node)

    def _is_state(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id == self._state


def _type_of(value: ast.expr) -> Any:
    """The type of a literal; Any for what is computed."""
    if isinstance(value, ast.Constant) and type(value.value) in _SCALARS:
        return type(value.value)
    if isinstance(value, ast.JoinedStr):
        return str
    if isinstance(value, ast.List | ast.ListComp):
        return list
    return dict if isinstance(value, ast.Dict | ast.DictComp) else Any


def _learn(shape: Shape, hint: Any) -> None:
    """Take a type into a shape."""
    origin = getattr(hint, "__origin__", hint)
    args = getattr(hint, "__args__", ())
    if origin is Union or type(hint).__name__ == "UnionType":
        for one in args:
            _learn(shape, one)
    elif hint in _SCALARS:
        shape.scalars.add(_SCALARS[hint][0])
    elif inspect.isclass(origin) and issubclass(origin, list | tuple | set | frozenset):
        shape.items = shape.items or Shape(seen=1)
        for one in args or (Any,):
            _learn(shape.items, one)
    elif is_keyed(hint):
        shape.keys = shape.keys or {}
        shape.objects += 1
        for key, one in get_type_hints(hint).items():
            _learn(shape.keys.setdefault(key, Shape(seen=1)), one)
    elif inspect.isclass(origin) and issubclass(origin, dict):
        shape.keys = shape.keys or {}
    else:
        shape.scalars.add("Any")


# -- telling ----------------------------------------------------------------------------------------


def _object(keys: Mapping[str, Shape], required: set[str]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": {key: _json(one) for key, one in keys.items()}}
    return {**schema, "required": sorted(required)} if required else schema


def _inner(shape: Shape) -> set[str]:
    return {key for key, one in (shape.keys or {}).items() if shape.objects and one.seen >= shape.objects}


def _json(shape: Shape) -> dict[str, Any]:
    if "Any" in shape.scalars:
        return {}
    options: list[dict[str, Any]] = [{"type": _SCALARS[_NAMES[name]][1]} for name in sorted(shape.scalars)]
    if shape.items is not None:
        options.append(
            {"type": "array", "items": _json(shape.items)} if shape.items.seen else {"type": "array"}
        )
    if shape.keys is not None:
        options.append(_object(shape.keys, _inner(shape)))
    if not options:
        return {}
    return options[0] if len(options) == 1 else {"anyOf": options}


def _body(name: str, keys: Mapping[str, Shape], required: set[str], classes: list[str]) -> str:
    lines = []
    plain = all(key.isidentifier() and not keyword.iskeyword(key) for key in keys)
    for key, shape in keys.items():
        text = _text(f"{name}{_camel(key)}", shape, classes)
        text = text if key in required else f"NotRequired[{text}]"
        lines.append(f"    {key}: {text}" if plain else f"    {key!r}: {text},")
    if plain:
        return f"class {name}(TypedDict):\n" + ("\n".join(lines) or "    pass")
    return f"{name} = TypedDict({name!r}, {{\n" + "\n".join(lines) + "\n})"


def _camel(key: str) -> str:
    return (
        "".join(part.capitalize() for part in key.replace("-", "_").split("_") if part.isidentifier())
        or "Item"
    )


def _text(name: str, shape: Shape, classes: list[str]) -> str:
    if "Any" in shape.scalars:
        return "Any"
    options = [one for one in sorted(shape.scalars) if one != "None"]
    if shape.items is not None:
        inner = _text(name.removesuffix("s"), shape.items, classes) if shape.items.seen else "Any"
        options.append(f"list[{inner}]")
    if shape.keys is not None:
        if shape.keys:
            classes.append(_body(name, shape.keys, _inner(shape), classes))
            options.append(name)
        else:
            options.append("dict[str, Any]")
    if "None" in shape.scalars:
        options.append("None")
    return " | ".join(options) or "Any"


def _hint(name: str, key: str, shape: Shape) -> Any:
    """The shape as a type."""
    if "Any" in shape.scalars:
        return Any
    options: list[Any] = [None if one == "None" else _NAMES[one] for one in sorted(shape.scalars)]
    if shape.items is not None:
        options.append(list[_hint(name, key, shape.items)] if shape.items.seen else list)  # type: ignore[misc]
    if shape.keys is not None:
        inner = f"{name}{_camel(key)}"
        hints = {one: _hint(inner, one, found) for one, found in shape.keys.items()}
        needed = _inner(shape)
        typed = {one: hint if one in needed else NotRequired[hint] for one, hint in hints.items()}
        options.append(TypedDict(inner, typed) if shape.keys else dict)  # type: ignore[operator]
    return Union[tuple(options)] if options else Any  # noqa: UP007
