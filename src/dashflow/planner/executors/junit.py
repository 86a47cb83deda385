"""What pytest's JUnit XML says went wrong, as findings. Opens that one file and nothing it names.

The file is written by code that nobody vouches for: document types and entities are refused, it is
read as a stream, and only what is needed is kept, cut to a bounded length.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from xml.parsers import expat

from dashflow.planner.executors.tally import Clean, Tally
from dashflow.planner.findings import WHOLE_FOLDER, finding
from dashflow.planner.regularfile import Unread, read_regular

MAX_BYTES: Final = 64_000_000
_MAX_TEXT: Final = 20_000
_KINDS: Final = {"failure": "test_failure", "error": "test_error"}
_ERROR_LINE: Final = re.compile(
    r"^E +((?:[A-Za-z_][\w.]*)(?:Error|Exception|Warning|Exit|Interrupt)\b.*)$", re.M
)
_ANY_ERROR_LINE: Final = re.compile(r"^E +(\S.*)$", re.M)


def read_junit(file: Path, clean: Clean) -> Tally | str:
    """What the file tells, or in words why it cannot be used."""
    data = read_regular(file, MAX_BYTES)
    if isinstance(data, Unread):
        return f"the test results {data.why}"
    reader = _Reader(clean)
    try:
        reader.parser.Parse(data, True)
    except (expat.ExpatError, _RefusedError) as error:
        return f"the test results are not what pytest writes: {error}"
    return reader.tally


class _RefusedError(Exception):
    """The file uses something that pytest never writes. Does not leave this module."""


class _Reader:
    """One pass over the file: handlers for the parser, and what is known of the test at hand."""

    def __init__(self, clean: Clean) -> None:
        self.tally = Tally()
        self._clean = clean
        self._case: dict[str, str] = {}
        self._counted: set[tuple[str, str, str]] = set()
        self._open: tuple[str, str] | None = None
        self._text: list[str] = []
        self._kept = 0
        self.parser = expat.ParserCreate()
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.EntityDeclHandler = self._refuse
        self.parser.StartElementHandler = self._start
        self.parser.CharacterDataHandler = self._characters
        self.parser.EndElementHandler = self._end

    def _refuse(self, *_: object) -> None:
        raise _RefusedError("it declares a document type")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "testcase":
            self._case = attributes
        elif tag in _KINDS:
            self._open = (tag, attributes.get("message", ""))
            self._text, self._kept = [], 0
        elif tag == "skipped":
            self.tally.skipped += 1

    def _characters(self, text: str) -> None:
        if self._open is not None:
            self._text.append(text)
            self._kept += len(text)
            if self._kept > 2 * _MAX_TEXT:  # the end of a traceback says what happened
                self._text = ["".join(self._text)[-_MAX_TEXT:]]
                self._kept = _MAX_TEXT

    def _end(self, tag: str) -> None:
        if tag == "testcase":
            self._count()
        elif tag in _KINDS and self._open is not None:
            self._problem(_KINDS[tag], self._open[1], "".join(self._text)[-_MAX_TEXT:])
            self._open = None

    def _count(self) -> None:
        case = self._case
        if not case.get("classname") and case.get("name"):
            return  # a file that could not be collected, not a test
        key = (case.get("file", ""), case.get("classname", ""), case.get("name", ""))
        if key not in self._counted:
            self._counted.add(key)
            self.tally.tests += 1

    def _problem(self, kind: str, message: str, text: str) -> None:
        case = self._case
        file = case.get("file", "")
        path = self._clean.path(file) if file else WHOLE_FOLDER
        collected = message != "collection failure"
        name = self._test_id(path) if collected else path
        if not collected or not message:
            found = _ERROR_LINE.search(text) or _ANY_ERROR_LINE.search(text)
            message = found[1] if found else message
        line = self._line(file, path, text)
        self.tally.problems.append(finding(kind, path, line, name, self._clean.text(message)))

    def _test_id(self, path: str) -> str:
        """The test's id as pytest shows it: file, classes and name, with ``::`` between them."""
        module = re.sub(r"\.py$", "", self._case.get("file", "")).replace("/", ".").replace("\\", ".")
        classes = self._case.get("classname", "")
        inside = classes.removeprefix(module).strip(".") if module and classes.startswith(module) else ""
        parts = [path, *(part for part in inside.split(".") if part), self._case.get("name", "")]
        return self._clean.text("::".join(parts))

    def _line(self, file: str, path: str, text: str) -> int:
        """Where in the test's file it went wrong last; otherwise where the test begins."""
        places = "|".join(re.escape(place) for place in {file, path} if place)
        if places:
            traced = re.findall(rf"^(?:{places}):(\d{{1,9}}):", text, re.M)
            syntax = re.findall(rf'^E +File "[^"]*(?:{places})", line (\d{{1,9}})', text, re.M)
            if syntax or traced:
                return int((syntax or traced)[-1])
        begins = self._case.get("line", "")
        return int(begins) + 1 if begins.isascii() and begins.isdigit() and len(begins) < 10 else 0
