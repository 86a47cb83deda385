"""Conditions on a state as text, such as ``amount > 100 and status == "open"``. Pure.

They are data: kept in a log, sent over a wire. So they are looked at piece by piece, never compiled or run,
and can do nothing but compare what is there. Code belongs into a function.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from dashflow._util.sentinel import MISSING
from dashflow.errors import UsageError

LONGEST: Final = 1000
"""Characters of a condition."""

_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda one, many: one in many,
    ast.NotIn: lambda one, many: one not in many,
    ast.Is: lambda one, other: one is other,
    ast.IsNot: lambda one, other: one is not other,
}
_WORDS: Final = {"true": True, "false": False, "null": None, "none": None}
_HELP: Final = (
    "A condition compares parts of the state, for example: amount > 100 and status in ['open', 'late'], "
    "messages[-1].type == 'ai', len(messages) > 20, not done."
)

Test = Callable[[Any], Any]


def condition(text: str) -> Callable[[Any], bool]:
    """A test of a state out of text.

    It is written as in Python: names of the state's keys, ``.`` and ``[]`` for their parts, ``len()``, texts,
    numbers, lists, ``True``, ``False``, ``None``, comparisons, ``and``, ``or``, ``not``. What is not
    there is None; a comparison of what cannot be compared does not hold.

    Raises:
        UsageError: The text is no such condition; says what is wrong and where.
    """
    if len(text) > LONGEST:
        raise UsageError(f"A condition has at most {LONGEST} characters, and this one {len(text)}.")
    try:
        test = _test(ast.parse(text.strip(), mode="eval").body)
    except SyntaxError as error:
        raise _refused(text, f"{error.msg} at character {error.offset or 0}") from None
    except (RecursionError, MemoryError, ValueError):
        raise _refused(text, "it cannot be read") from None
    return lambda state: bool(test(state))


def _refused(text: str, problem: str) -> UsageError:
    return UsageError(f"{text!r} is no condition: {problem}. {_HELP}", condition=text)


def _test(node: ast.expr) -> Test:
    make = _MAKERS.get(type(node))
    if make is None:
        raise SyntaxError(f"{type(node).__name__} is not known here", ("", 1, node.col_offset + 1, ""))
    return make(node)


def _bool(node: Any) -> Test:
    tests = [_test(value) for value in node.values]
    join = all if isinstance(node.op, ast.And) else any
    return lambda state: join(test(state) for test in tests)


def _unary(node: Any) -> Test:
    inner = _test(node.operand)
    if isinstance(node.op, ast.Not):
        return lambda state: not inner(state)
    if not isinstance(node.op, ast.USub) or not isinstance(node.operand, ast.Constant):
        raise SyntaxError("this sign is not known here", ("", 1, node.col_offset + 1, ""))
    value = node.operand.value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SyntaxError("a sign belongs before a number", ("", 1, node.col_offset + 1, ""))
    return lambda state: -value


def _compare(node: Any) -> Test:
    sides = [_test(side) for side in (node.left, *node.comparators)]
    compare = [_COMPARISONS[type(op)] for op in node.ops]

    def test(state: Any) -> bool:
        values = [side(state) for side in sides]
        return all(
            _holds(op, one, other) for op, one, other in zip(compare, values, values[1:], strict=False)
        )

    return test


def _holds(compare: Callable[[Any, Any], Any], one: Any, other: Any) -> bool:
    try:
        return bool(compare(one, other))
    except (TypeError, ValueError):  # a number with a text, a text in a number, arrays of numbers
        return False


def _name(node: Any) -> Test:
    name = node.id
    if name.lower() in _WORDS:
        value = _WORDS[name.lower()]
        return lambda state: value
    return lambda state: _part(state, name)


def _attribute(node: Any) -> Test:
    inner, name = _test(node.value), node.attr
    if name.startswith("_"):
        raise SyntaxError(f"{name!r} is private", ("", 1, node.col_offset + 1, ""))
    return lambda state: _part(inner(state), name)


def _part(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(name)
    found = getattr(value, name, None)
    return None if callable(found) else found


def _subscript(node: Any) -> Test:
    inner, key = _test(node.value), _test(node.slice)

    def test(state: Any) -> Any:
        value, wanted = inner(state), key(state)
        if not isinstance(value, Mapping | list | tuple | str):
            return None
        try:
            return value[wanted]
        except (LookupError, TypeError):
            return None

    return test


def _constant(node: Any) -> Test:
    value = node.value
    if value is not None and not isinstance(value, str | int | float | bool):
        raise SyntaxError("only texts, numbers, True, False and None", ("", 1, node.col_offset + 1, ""))
    return lambda state: value


def _list(node: Any) -> Test:
    parts = [_test(part) for part in node.elts]
    return lambda state: [part(state) for part in parts]


def _len(node: Any) -> Test:
    if not isinstance(node.func, ast.Name) or node.func.id != "len" or len(node.args) != 1 or node.keywords:
        raise SyntaxError("the only function is len(...)", ("", 1, node.col_offset + 1, ""))
    inner = _test(node.args[0])

    def test(state: Any) -> Any:
        length = getattr(type(value := inner(state)), "__len__", MISSING)
        return 0 if length is MISSING else len(value)

    return test


_MAKERS: dict[type[ast.expr], Callable[[Any], Test]] = {
    ast.BoolOp: _bool,
    ast.UnaryOp: _unary,
    ast.Compare: _compare,
    ast.Name: _name,
    ast.Attribute: _attribute,
    ast.Subscript: _subscript,
    ast.Constant: _constant,
    ast.List: _list,
    ast.Tuple: _list,
    ast.Call: _len,
}
