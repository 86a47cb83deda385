"""The checks that the Analysis executor knows. Each sees one file after the other; none does I/O.

A check is made from its part of the task's params, for example ``{"check": "long_functions",
"max_lines": 60}``; wrong params raise ``ValueError`` with what to write instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Any, ClassVar

from dashflow.planner.executors import comments, imports, requirements
from dashflow.planner.executors.functions import enclosing
from dashflow.planner.executors.pycomments import marked_comments
from dashflow.planner.executors.pysource import SUFFIXES, Facts, PythonText
from dashflow.planner.findings import Finding, finding
from dashflow.planner.sourcetree import SourceFile


class Check:
    """What every check may be asked; it answers with nothing unless it has something to say."""

    name: ClassVar[str]

    def wants(self, file: SourceFile) -> bool:
        """Whether the file is worth opening."""
        return file.suffix in SUFFIXES

    def python(self, source: PythonText, facts: Callable[[], Facts]) -> Iterable[Finding]:
        """What is found in a Python file; ``facts`` are what its syntax tree tells, costly at first."""
        return ()

    def text(self, file: SourceFile, text: str) -> Iterable[Finding]:
        """What is found in a file of another language."""
        return ()

    def finish(self) -> Iterable[Finding]:
        """What can be said only after the last file."""
        return ()

    def numbers(self) -> dict[str, int]:
        """What was counted, for the result."""
        return {}


class _Measured(Check):
    """Functions over a bound."""

    kind: ClassVar[str]
    measure: ClassVar[attrgetter[int]]
    key: ClassVar[str]
    default: ClassVar[int]

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._bound = _number(params, self.key, self.default)
        self._functions = 0

    def python(self, source: PythonText, facts: Callable[[], Facts]) -> Iterator[Finding]:
        """A finding for every function over the bound."""
        known = facts()
        if known.broken:
            yield known.broken
        for function in known.functions:
            self._functions += 1
            value = self.measure(function)
            if value > self._bound:
                yield finding(self.kind, source.path, function.line, function.name, value)

    def numbers(self) -> dict[str, int]:
        """How many functions were measured."""
        return {"functions": self._functions}


class LongFunctions(_Measured):
    """``long_function``: more than ``max_lines`` lines from ``def`` to the end; value = lines."""

    name, kind, key, default = "long_functions", "long_function", "max_lines", 60
    measure: ClassVar[attrgetter[int]] = attrgetter("length")


class Complexity(_Measured):
    """``complexity``: McCabe's number above ``max_complexity``; value = the number."""

    name, kind, key, default = "complexity", "complexity", "max_complexity", 10
    measure: ClassVar[attrgetter[int]] = attrgetter("complexity")


class Markers(Check):
    """``todo``, ``fixme``, ...: words of ``markers`` in comments; value = the comment's line.

    The kind is the marker in lower case. Words count whole and as written: ``TODO:`` and ``TODO(me)``
    do, ``todo`` and ``TODOS`` do not. The name is the function around it, in Python.
    """

    name = "markers"

    def __init__(self, params: Mapping[str, Any]) -> None:
        words = params.get("markers", ["TODO", "FIXME"])
        if not isinstance(words, list | tuple) or not all(
            isinstance(word, str) and word.strip() for word in words
        ):
            raise ValueError(f"'markers' must be a list of words such as ['TODO', 'FIXME'], not {words!r}")
        self._words = tuple(dict.fromkeys(word.strip() for word in words))
        if not self._words:
            raise ValueError("'markers' is empty; name at least one word, such as 'TODO'")
        parts = "|".join(re.escape(word) for word in sorted(self._words, key=len, reverse=True))
        self._pattern = re.compile(rf"(?<!\w)(?:{parts})(?!\w)")

    def wants(self, file: SourceFile) -> bool:
        """Python and every language whose comments are known."""
        return super().wants(file) or comments.knows(file.name, file.suffix)

    def python(self, source: PythonText, facts: Callable[[], Facts]) -> Iterator[Finding]:
        """Markers in a Python file's comments, also where its syntax is broken."""
        marked = marked_comments(source.text, self._pattern)
        around = facts().functions if marked else []
        for comment in marked:
            yield from self._in(source.path, comment, enclosing(around, comment.line))

    def text(self, file: SourceFile, text: str) -> Iterator[Finding]:
        """Markers in another language's comments."""
        if comments.knows(file.name, file.suffix) and self._pattern.search(text):
            for comment in comments.comments(text, file.name, file.suffix):
                yield from self._in(file.path, comment, "")

    def _in(self, path: str, comment: comments.Comment, name: str) -> Iterator[Finding]:
        for word in dict.fromkeys(self._pattern.findall(comment.text)):
            yield finding(word.lower(), path, comment.line, name, comment.text)


class Imports(Check):
    """``import``: modules that are neither standard, nor in the folder, nor declared; value says so.

    Declarations are read from pyproject.toml, requirements files, setup.py, setup.cfg, tox.ini, Pipfile.
    """

    name = "imports"

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._found: list[imports.Import] = []
        self._modules = imports.Modules()
        self._distributions: set[str] = set()
        self._files = 0

    def wants(self, file: SourceFile) -> bool:
        """Python files and declarations; every file's name tells of a module."""
        self._modules.add(file.path)
        return super().wants(file) or requirements.is_declaration(file.path)

    def python(self, source: PythonText, facts: Callable[[], Facts]) -> Iterator[Finding]:
        """Note the file's imports."""
        known = facts()
        self._files += 1
        self._found.extend(known.imports)
        if requirements.is_declaration(source.path):
            self._distributions |= requirements.declared(source.path, source.text)
        if known.broken:
            yield known.broken

    def text(self, file: SourceFile, text: str) -> Iterable[Finding]:
        """Note what the project declares."""
        if requirements.is_declaration(file.path):
            self._distributions |= requirements.declared(file.path, text)
        return ()

    def finish(self) -> Iterator[Finding]:
        """What none of all these names explains."""
        return imports.unresolved(self._found, self._modules, self._distributions)

    def numbers(self) -> dict[str, int]:
        """How many modules there are, and how many imports in them."""
        return {"modules": self._files, "imports": len(self._found)}


def _number(params: Mapping[str, Any], key: str, default: int) -> int:
    value = params.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0 or value != int(value):
        raise ValueError(f"{key!r} must be a whole number from 0, not {value!r}")
    return int(value)


CHECKS: Mapping[str, Callable[[Mapping[str, Any]], Check]] = {
    LongFunctions.name: LongFunctions,
    Complexity.name: Complexity,
    Markers.name: Markers,
    Imports.name: Imports,
}
"""Checks by the name that params use."""
