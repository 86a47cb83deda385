"""Tally: what came of a test run, and the cleaning that lets equal runs tell equal things. Runs nothing."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from dashflow.planner.findings import Finding

_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")
_BARE_ADDRESS = re.compile(r"\b0x[0-9A-Fa-f]{8,}\b")
_TEMPORARY = re.compile(r"(?:/private)?/(?:tmp|var/tmp|var/folders)/[^\s'\"`,;:)\]}>]+")


class Tally(msgspec.Struct):
    """What came of a test run: how many tests there were, how many were skipped, what went wrong."""

    tests: int = 0
    skipped: int = 0
    problems: list[Finding] = msgspec.field(default_factory=list)

    def count(self, kind: str) -> int:
        """Problems of one kind."""
        return sum(problem.kind == kind for problem in self.problems)


class Clean:
    """Takes out of a message what differs from run to run or from place to place."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        self._folder = folder
        mine = "|".join(re.escape(str(place)) for place in {scratch, scratch.resolve()})
        self._scratch = re.compile(rf"(?:{mine})[^\s'\"`,;:)\]}}>]*")
        self._here = re.compile(rf"{re.escape(str(folder))}(?:/|(?=[\s'\"`,;:)\]}}>]|$))")

    def text(self, message: str) -> str:
        """A message's first line, without addresses, temporary paths and the folder's own place."""
        first = next((line for line in message.splitlines() if line.strip()), "")
        first = self._scratch.sub("<tmp>", first)
        first = self._here.sub("", first)
        first = _TEMPORARY.sub("<tmp>", first)
        return _BARE_ADDRESS.sub("0x…", _ADDRESS.sub("", first)).strip()

    def path(self, file: str) -> str:
        """A test file as told by a test runner, relative to the folder.

        pytest tells it relative to its root, which is the folder or, where the configuration is
        above, one of the folders above.
        """
        for root in (self._folder, *self._folder.parents):
            place = root / file
            if place.is_file() and place.is_relative_to(self._folder):
                return place.relative_to(self._folder).as_posix()
        return file.replace("\\", "/")
