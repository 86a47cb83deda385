"""Python source: a file's bytes to text and to what its tree tells, or to the finding that says why not.

No I/O. What a tree tells is remembered by content, so that checks which run beside each other parse
every file once.
"""

from __future__ import annotations

import ast
import codecs
import io
import tokenize
import warnings
from collections import OrderedDict
from threading import Lock

import msgspec
import xxhash

from dashflow.planner.executors.functions import Function, functions
from dashflow.planner.executors.imports import Import, imports
from dashflow.planner.findings import Finding, finding

MAX_BYTES = 1_000_000
"""Larger files are not read: a tree takes 100 to 700 bytes of memory for every byte of its text."""

MAX_LINE = 100_000
"""A file with a longer line (in characters) is taken as generated: no person reads or writes it."""

SUFFIXES = frozenset({".py", ".pyw", ".pyi"})

_LABEL = "<source looked at>"
# they decode text in quadratic time, or are no encodings of source files
_REFUSED_ENCODINGS = frozenset({"idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape"})


class PythonText(msgspec.Struct, frozen=True):
    """A decoded Python file: ``path`` as in findings, ``text`` with ``\\n`` as its only line end."""

    path: str
    text: str


class Facts(msgspec.Struct, frozen=True):
    """What a file's tree tells. ``broken`` is the finding that stands for a tree that could not be built."""

    functions: list[Function] = []
    imports: list[Import] = []
    broken: Finding | None = None


class FactsMemory:
    """Facts of the files seen last, by path and content. May be asked from any thread.

    Trees are built one at a time: they are large, and building them holds the interpreter anyway.

    Args:
        limit: How many files' facts are kept, the ones used last.
    """

    def __init__(self, limit: int = 20_000) -> None:
        self._limit = limit
        self._known: OrderedDict[bytes, Facts] = OrderedDict()
        self._lock = Lock()

    def facts(self, source: PythonText) -> Facts:
        """What the file's tree tells."""
        text = source.text.encode("utf-8", "surrogatepass")
        key = xxhash.xxh3_128_digest(source.path.encode("utf-8") + b"\0" + text)
        with self._lock:
            known = self._known.get(key)
            if known is None:
                known = self._known[key] = _facts(source)
                if len(self._known) > self._limit:
                    self._known.popitem(last=False)
            else:
                self._known.move_to_end(key)
            return known


def _facts(source: PythonText) -> Facts:
    quiet_compiler()
    path, text = source.path, source.text
    try:
        tree = ast.parse(text, filename=_LABEL)
        return Facts(functions(tree), list(imports(path, tree)))
    except SyntaxError as error:
        line = min(error.lineno or 0, text.count("\n") + 1)
        return Facts(broken=finding("syntax_error", path, line, value=error.msg or "invalid syntax"))
    except (RecursionError, MemoryError):
        told = "is nested too deeply for Python's parser"
        return Facts(broken=finding("unreadable", path, value=told))
    except ValueError as error:  # for example an integer literal of more digits than Python converts
        return Facts(broken=finding("syntax_error", path, value=str(error)))


def quiet_compiler() -> None:
    """Keep Python's warnings about the code looked at from being shown or, with ``-W error``, raised.

    The filter names our label for that code, so it silences nothing else. It stays once set: taking
    filters back is not safe while other threads run.
    """
    first = warnings.filters[0] if warnings.filters else None
    if first is None or first[0] != "ignore" or getattr(first[3], "pattern", "") != _LABEL:
        warnings.filterwarnings("ignore", module=_LABEL)


def decode(path: str, data: bytes) -> PythonText | Finding:
    """Text of a Python file by its encoding declaration, or an ``unreadable`` finding with the line."""
    if b"\0" in data:
        line = data.count(b"\n", 0, data.index(b"\0")) + 1
        return finding("unreadable", path, line, value="contains null bytes: it is binary, or UTF-16")
    try:
        declared, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        known = codecs.lookup(declared).name
        if known in _REFUSED_ENCODINGS:
            return finding("unreadable", path, 1, value=f"declares the encoding {known}, not one for source")
        text = data.decode(declared)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return finding("unreadable", path, line, value=f"is not valid {error.encoding}")
    except SyntaxError:
        return _undetected(path, data)
    except (LookupError, ValueError) as error:
        return finding("unreadable", path, 1, value=f"cannot be decoded: {error}")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    longest = max(range(len(lines)), key=lambda number: len(lines[number]))
    if len(lines[longest]) > MAX_LINE:
        told = f"has a line of {len(lines[longest]):,} characters: minified or generated"
        return finding("unreadable", path, longest + 1, value=told)
    return PythonText(path, text)


def _undetected(path: str, data: bytes) -> Finding:
    """The finding for a file whose first two lines give no usable encoding."""
    head = data.split(b"\n", 2)[:2]
    for number, line in enumerate(head, start=1):
        try:
            line.decode("utf-8")
        except UnicodeDecodeError:
            return finding(
                "unreadable", path, number, value="is not valid utf-8 and declares no other encoding"
            )
    return finding("unreadable", path, 1, value="declares an encoding that Python does not know")
