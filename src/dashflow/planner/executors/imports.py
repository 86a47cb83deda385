"""Imports of a Python project, and those that lead nowhere. Pure: looks at trees and names, imports nothing.

An import is resolved when its top-level module is in the standard library, is a file or folder of
the project, or belongs to a distribution that the project declares. Imports in a ``try`` that catches
their failure, or under ``if TYPE_CHECKING``, are the author's own business.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from typing import Final, NamedTuple

from dashflow.planner.executors.requirements import provides
from dashflow.planner.findings import Finding, finding

# what some supported Python versions still have and others do not, so that all give the same report
_FORMER: Final = frozenset(
    {
        "aifc",
        "asynchat",
        "asyncore",
        "audioop",
        "cgi",
        "cgitb",
        "chunk",
        "crypt",
        "distutils",
        "imghdr",
        "imp",
    }
    | {"lib2to3", "mailcap", "msilib", "nis", "nntplib", "ossaudiodev", "pipes", "smtpd", "sndhdr", "spwd"}
    | {"sunau", "telnetlib", "uu", "xdrlib", "compression", "annotationlib"}
)
STANDARD: Final = frozenset(sys.stdlib_module_names) | _FORMER | {"__main__"}

_CATCHES: Final = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})


class Import(NamedTuple):
    """One imported module: where, its dotted name, and how many dots stood before it."""

    path: str
    line: int
    module: str
    dots: int


def imports(path: str, tree: ast.Module) -> Iterator[Import]:
    """The imports of a file that have to succeed when it runs."""
    stack: list[ast.AST] = list(reversed(tree.body))
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Import):
            yield from (Import(path, node.lineno, name.name, 0) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield Import(path, node.lineno, node.module or "", node.level)
        elif isinstance(node, ast.Try | ast.TryStar) and any(map(_catches, node.handlers)):
            rest: list[ast.AST] = [*node.orelse, *node.finalbody]
            stack.extend(reversed(rest))  # neither the attempt nor what replaces it
        elif isinstance(node, ast.If) and _is_typing_guard(node.test):
            stack.extend(reversed(node.orelse))
        elif not isinstance(node, ast.expr):
            stack.extend(reversed([below for below in ast.iter_child_nodes(node) if _holds_code(below)]))


def _holds_code(node: ast.AST) -> bool:
    return isinstance(node, ast.stmt | ast.excepthandler | ast.match_case)


def _catches(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or (isinstance(kind, ast.Name) and kind.id in _CATCHES) for kind in kinds)


def _is_typing_guard(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else test.id if isinstance(test, ast.Name) else ""
    return name == "TYPE_CHECKING"


class Modules:
    """The modules that a project consists of, gathered from the paths of its files."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._places: set[str] = set()

    def add(self, path: str) -> None:
        """Take in one file of the project, of any language; folders come with their files."""
        parts = path.split("/")
        stem = parts[-1].partition(".")[0]
        if parts[-1].endswith((".py", ".pyi", ".pyw", ".pyx", ".so", ".pyd", ".c", ".cpp", ".rs")):
            self._names.add(stem)
            self._places.add("/".join([*parts[:-1], stem]))
        for depth in range(1, len(parts)):
            self._names.add(parts[depth - 1])
            self._places.add("/".join(parts[:depth]))

    def has(self, found: Import) -> bool:
        """Whether the import leads to a file or folder of the project."""
        if not found.dots:
            return found.module.partition(".")[0] in self._names
        parts = found.path.split("/")[: -found.dots]
        if found.dots > found.path.count("/") + 1 or not found.module:
            return True  # above the folder looked at, or a name out of a package: cannot be told from here
        return "/".join([*parts, *found.module.split(".")]) in self._places


def unresolved(found: list[Import], modules: Modules, distributions: set[str]) -> Iterator[Finding]:
    """One ``import`` finding for each file and missing module, at the first line that imports it."""
    seen: set[tuple[str, str]] = set()
    known: dict[str, bool] = {}
    for item in found:
        name = "." * item.dots + item.module if item.dots else item.module.partition(".")[0]
        if (item.path, name) in seen or modules.has(item):
            continue
        if not item.dots:
            if name not in known:
                known[name] = name in STANDARD or provides(distributions, name)
            if known[name]:
                continue
        seen.add((item.path, name))
        told = (
            "is no module of this project"
            if item.dots
            else ("is neither in the standard library, nor in this folder, nor declared as a dependency")
        )
        yield finding("import", item.path, item.line, name, f"{name} {told}")
