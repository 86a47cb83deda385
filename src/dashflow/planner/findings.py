"""Finding: one thing seen in the folder, its order, merging and JSON shape. No I/O; knows no executor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

WHOLE_FOLDER = "."
"""``Finding.path`` of a finding that is about the folder, not about a file in it."""

MAX_TEXT = 500
"""Longest text kept as a value, in characters; what is longer ends in an ellipsis."""


class Finding(msgspec.Struct, frozen=True):
    """One thing that an executor saw.

    Attributes:
        kind: What it is: ``long_function``, ``complexity``, ``todo``, ``fixme``, ``import``, ``match``,
            ``syntax_error``, ``unreadable``, ``test_failure``, ``test_error``, ``no_tests``,
            ``tests_unrunnable``.
        path: File, relative to the folder looked at, with ``/`` between parts; ``.`` for the folder itself.
        line: Line in the file, from 1; 0 where no line is meant.
        name: What it is about: a function's dotted name, a test's id, a module, a query; may be empty.
        value: The measured number, or a text on one line.
    """

    kind: str
    path: str
    line: int
    name: str
    value: int | str


def finding(kind: str, path: str, line: int = 0, name: str = "", value: int | str = "") -> Finding:
    """A finding whose texts are safe to store: valid Unicode, one line, of bounded length."""
    return Finding(
        kind=kind,
        path=storable(path),
        line=max(line, 0),
        name=one_line(name),
        value=value if isinstance(value, int) else one_line(value),
    )


def storable(text: str) -> str:
    """``text`` with what UTF-8 cannot hold (half surrogates, as in undecodable file names) spelt out."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raw = text.encode("utf-8", "surrogateescape" if _only_escapes(text) else "surrogatepass")
        return raw.decode("utf-8", "backslashreplace")
    return text


def _only_escapes(text: str) -> bool:
    """Whether every surrogate in ``text`` stands for one undecodable byte."""
    return all(not "\ud800" <= char <= "\udfff" or "\udc80" <= char <= "\udcff" for char in text)


def one_line(text: str, limit: int = MAX_TEXT) -> str:
    """``text`` on one line, runs of white space as one space, cut to ``limit`` characters."""
    short = " ".join(text[: limit * 4].split())
    cut = len(short) > limit or len(text) > limit * 4
    return storable(short[: limit - 1] + "…" if cut else short)


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """Findings without repetitions, sorted by path, line, kind, name, value (numbers before texts)."""
    return sorted(set(findings), key=_order)


def _order(item: Finding) -> tuple[str, int, str, str, bool, int, str]:
    text = isinstance(item.value, str)
    number = 0 if isinstance(item.value, str) else item.value
    return item.path, item.line, item.kind, item.name, text, number, str(item.value)


def counts(findings: Iterable[Finding]) -> dict[str, int]:
    """How many findings there are of each kind, by kind in alphabetical order."""
    tally: dict[str, int] = {}
    for item in findings:
        tally[item.kind] = tally.get(item.kind, 0) + 1
    return dict(sorted(tally.items()))


def to_plain(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Findings as plain data, keys in the order kind, path, line, name, value."""
    return [msgspec.to_builtins(item) for item in findings]


def from_plain(data: object) -> list[Finding]:
    """Findings out of a task's result.

    Raises:
        msgspec.ValidationError: ``data`` is no list of findings.
    """
    return msgspec.convert(data, list[Finding])
