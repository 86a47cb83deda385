"""Functions of a Python file: where each begins and ends, its dotted name and its complexity. Pure.

Names are dotted as one reads them, ``Class.method`` and ``outer.inner``, without ``<locals>``. Only
statements are walked, with a stack of our own, so that no nesting is too deep.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import msgspec


class Function(msgspec.Struct):
    """One function or method, nested and async ones included; lambdas are no functions here.

    Attributes:
        name: Dotted from the module.
        line: Of ``def``; decorators above it do not count.
        end: Last line of its last statement.
        complexity: McCabe's number as flake8 and ruff count it: one, plus one for each if, elif, for,
            while, except, else of a try, and case (but for a last one that takes everything); a
            nested function adds its own number.
    """

    name: str
    line: int
    end: int
    complexity: int

    @property
    def length(self) -> int:
        """Lines from ``def`` to the end, both included."""
        return self.end - self.line + 1


def functions(tree: ast.Module) -> list[Function]:
    """All functions, in the order in which they begin, an outer one before its inner ones."""
    found: list[Function] = []
    owners: list[int] = []  # for each function the index of the one around it, or -1
    stack: list[tuple[ast.stmt, str, int]] = [(node, "", -1) for node in reversed(tree.body)]
    while stack:
        node, scope, owner = stack.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            name = f"{scope}{node.name}"
            found.append(Function(name, node.lineno, node.end_lineno or node.lineno, 1))
            owners.append(owner)
            scope, owner = f"{name}.", len(found) - 1
        elif isinstance(node, ast.ClassDef):
            scope = f"{scope}{node.name}."
        elif owner >= 0:
            found[owner].complexity += _decisions(node)
        stack.extend((below, scope, owner) for below in reversed(list(_statements(node))))
    for index in range(len(found) - 1, -1, -1):  # inner ones come later, so they are whole by now
        if owners[index] >= 0:
            found[owners[index]].complexity += found[index].complexity
    return found


def enclosing(found: list[Function], line: int) -> str:
    """Name of the innermost function around ``line``, empty outside all."""
    name = ""
    for function in found:  # in order of their beginning: the last one that holds the line is innermost
        if function.line > line:
            break
        if function.end >= line:
            name = function.name
    return name


def _statements(node: ast.stmt) -> Iterator[ast.stmt]:
    """The statements directly below one, in source order."""
    yield from getattr(node, "body", ())
    for handler in getattr(node, "handlers", ()):
        yield from handler.body
    for case in getattr(node, "cases", ()):
        yield from case.body
    yield from getattr(node, "orelse", ())
    yield from getattr(node, "finalbody", ())


def _decisions(node: ast.stmt) -> int:
    if isinstance(node, ast.If | ast.For | ast.AsyncFor | ast.While):
        return 1
    if isinstance(node, ast.Try | ast.TryStar):
        return len(node.handlers) + bool(node.orelse)
    if isinstance(node, ast.Match):
        last = node.cases[-1]
        return len(node.cases) - (last.guard is None and _takes_everything(last.pattern))
    return 0


def _takes_everything(pattern: ast.pattern) -> bool:
    if isinstance(pattern, ast.MatchOr):
        return any(_takes_everything(part) for part in pattern.patterns)
    return isinstance(pattern, ast.MatchAs) and (
        pattern.pattern is None or _takes_everything(pattern.pattern)
    )
