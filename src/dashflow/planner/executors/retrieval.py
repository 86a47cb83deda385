"""The Retrieval executor: full-text search over the files of a folder, best first. Changes no file.

The index is SQLite's FTS5 in a private temporary database: in memory while it is small, spilled to
disk when the folder is large, gone afterwards. A text is indexed in pieces of some lines, so that what
is found has a place.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final, NamedTuple

from dashflow.errors import WorkspaceError
from dashflow.planner.core.task import TaskKind
from dashflow.planner.executors.base import Completed, Execution, Failed, Outcome
from dashflow.planner.executors.exclusions import open_tree
from dashflow.planner.findings import Finding, finding, one_line, to_plain
from dashflow.planner.regularfile import Unread
from dashflow.planner.sourcetree import SourceFile, SourceTree

MAX_BYTES: Final = 2_000_000
PIECE_LINES: Final = 30
PROGRESS_EVERY: Final = 100
DEFAULT_TOP: Final = 20
MAX_TOP: Final = 1_000
_MAX_WORDS: Final = 64
_LINE_SHOWN: Final = 200
_OPEN, _CLOSE = "\x02", "\x03"

_COMMON: Final = frozenset(
    {
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "by",
        "do",
        "does",
        "for",
        "from",
        "how",
        "in",
        "is",
        "it",
        "its",
    }
    | {"of", "on", "or", "that", "the", "this", "to", "was", "what", "when", "where", "which", "who", "with"}
)


class Query(NamedTuple):
    """A search in words: all ``phrases`` must be there; ``words`` decide on the order."""

    phrases: tuple[str, ...]
    words: tuple[str, ...]

    def expression(self) -> str:
        """The query in FTS5's language; empty when there is nothing to search for.

        Every part is a quoted string of letters and digits, so nothing in it is an operator.
        """
        phrases = " AND ".join(f'"{phrase}"' for phrase in self.phrases)
        words = " OR ".join(f'"{word}"' for word in (*self.words, *self.phrases[:1]))
        return f"({phrases}) AND ({words})" if phrases else words


def parse_query(text: str) -> Query:
    """Phrases in double quotes and single words; common words count only when there are no others."""
    phrases: list[str] = []
    rest: list[str] = []
    for number, part in enumerate(text.split('"')):
        words = re.findall(r"[^\W_]+", part)
        if number % 2 and len(words) > 1:
            phrases.append(" ".join(words[:_MAX_WORDS]))
        else:
            rest += [word.lower() for word in words]
    telling = [word for word in rest if word not in _COMMON]
    chosen = telling or ([] if phrases else rest)
    return Query(tuple(dict.fromkeys(phrases))[:_MAX_WORDS], tuple(dict.fromkeys(chosen))[:_MAX_WORDS])


class RetrievalExecutor:
    """Searches for ``params["query"]`` (default: the task's description); at most ``params["top"]`` matches.

    The result has ``findings`` in order of rank, ``files`` (searched), ``notes``, ``summary``.

    Args:
        module: SQLite's full-text module.
    """

    kinds = frozenset({TaskKind.RETRIEVAL})

    def __init__(self, module: str = "fts5") -> None:
        self._module = module

    def execute(self, execution: Execution) -> Outcome:
        """Index, search, forget the index."""
        params = execution.task.params
        text = params.get("query") or execution.task.description
        top = params.get("top", DEFAULT_TOP)
        if not isinstance(text, str):
            return Failed(f"params['query'] must be a text, not {type(text).__name__}.")
        if isinstance(top, bool) or not isinstance(top, int) or not 0 < top <= MAX_TOP:
            return Failed(f"params['top'] must be a whole number from 1 to {MAX_TOP}, not {top!r}.")
        try:
            tree = open_tree(execution)
        except WorkspaceError as error:
            return Failed(str(error))
        with closing(sqlite3.connect("", isolation_level=None)) as index:
            try:
                _create(index, self._module)
            except sqlite3.OperationalError as error:
                return Failed(
                    f"This Python's SQLite has no full-text search ({error}); searching is not possible. Use "
                    "a Python whose SQLite has FTS5, or leave the search out of the goal."
                )
            return _search(execution, index, tree, text, top)


def _create(index: sqlite3.Connection, module: str) -> None:
    index.execute("PRAGMA journal_mode = OFF")
    index.execute("PRAGMA synchronous = OFF")
    index.execute("PRAGMA cache_size = -32768")
    index.execute("CREATE TABLE place (piece INTEGER PRIMARY KEY, path TEXT, line INTEGER)")
    index.execute(f"CREATE VIRTUAL TABLE body USING {module}(text, tokenize = 'porter unicode61')")


def _search(
    execution: Execution, index: sqlite3.Connection, tree: SourceTree, text: str, top: int
) -> Outcome:
    query = parse_query(text)
    notes: list[str] = []
    found: list[Finding] = []
    files = 0
    if query.expression():
        index.execute("BEGIN")
        for file in tree.files():
            if execution.cancelled():
                return Failed("Stopped: the result is no longer wanted.")
            files += _add(index, file)
            if files and files % PROGRESS_EVERY == 0:
                execution.progress(f"{files:,} files indexed")
        index.execute("COMMIT")
        found = list(_matches(index, query, text, top))
        notes += tree.notes()
        notes += [f"{problem.path} {problem.why}; it was not searched." for problem in tree.problems]
    else:
        notes.append(f"The query '{one_line(text, 80)}' has no words to search for.")
    summary = f"{files:,} files searched, {len(found):,} matches"
    result: dict[str, Any] = {"query": one_line(text), "files": files, "summary": summary}
    return Completed({**result, "notes": notes, "findings": to_plain(found)})


def _add(index: sqlite3.Connection, file: SourceFile) -> bool:
    """Index a file's pieces; whether it was a text."""
    data = file.read(MAX_BYTES) if file.size <= MAX_BYTES else Unread("is too large")
    if isinstance(data, Unread) or b"\0" in data:
        return False
    # our own marks must not come from the text
    text = data.decode("utf-8", "replace").replace(_OPEN, " ").replace(_CLOSE, " ")
    lines = text.split("\n")
    for start in range(0, len(lines), PIECE_LINES):
        piece = "\n".join(lines[start : start + PIECE_LINES])
        if piece.strip():
            added = index.execute("INSERT INTO body (text) VALUES (?)", (piece,))
            row = (added.lastrowid, file.path, start + 1)
            index.execute("INSERT INTO place (piece, path, line) VALUES (?, ?, ?)", row)
    return True


def _matches(index: sqlite3.Connection, query: Query, text: str, top: int) -> Iterator[Finding]:
    """A ``match`` for each of the best pieces, at its line with the most of what was searched for."""
    rows = index.execute(
        "SELECT place.path, place.line, highlight(body, 0, ?, ?) "
        "FROM body JOIN place ON place.piece = body.rowid "
        "WHERE body MATCH ? ORDER BY bm25(body), place.path, place.line LIMIT ?",
        (_OPEN, _CLOSE, query.expression(), top),
    )
    for path, first, marked in rows:
        lines = marked.split("\n")
        best = max(range(len(lines)), key=lambda number: (lines[number].count(_OPEN), -number))
        shown = lines[best].replace(_OPEN, "").replace(_CLOSE, "")
        yield finding("match", path, first + best, one_line(text, 120), one_line(shown, _LINE_SHOWN))
