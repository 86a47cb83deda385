"""The texts that come back in event after event, and their numbers, as the writer knows them.

Inside the writer's transactions, and nowhere else. What is new is lined up, and written by ``flush``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from dashflow.log.sqlite.faults import damaged
from dashflow.log.sqlite.places import of_word
from dashflow.log.sqlite.rows import find, insert
from dashflow.log.sqlite.statements import queries


class Words:
    """Types and fingerprints, which stay; and correlation ids, which may go with the last of their events.

    Attributes:
        lasting: Numbers of types and fingerprints.
        passing: Numbers of correlation ids.
    """

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor
        self._sql = queries()
        self._last = 0
        self._new: dict[str, tuple[int, int]] = {}
        self.lasting: dict[str, int] = {"": 0}
        self.passing: dict[str, int] = {"": 0}

    def __len__(self) -> int:
        return len(self.lasting) + len(self.passing)

    def clear(self) -> None:
        """Forget all that is known, and what is lined up."""
        self._new = {}
        self.lasting, self.passing = {"": 0}, {"": 0}

    def reload(self) -> None:
        """The same; then find out where the numbers go on."""
        self.clear()
        self._last = self._cursor.execute(self._sql["last_word"]).fetchone()[0]

    def look_up(self, correlations: Iterable[str]) -> None:
        """Get the numbers of many correlation ids in one go."""
        texts = set(correlations) - self.passing.keys()
        if len(texts) > 1:
            for text, number, crc in find(self._cursor, "words_by_text", texts):
                self.passing[text] = _sound(number, text, crc)
            for text in texts - self.passing.keys():
                self._add(text, 0)

    def number(self, text: str) -> int:
        """The number of a type or a fingerprint."""
        number, lasting = self._find(text, 1)
        if not lasting:  # an event belongs to it, or did
            if text in self._new:
                self._new[text] = (number, 1)
            else:
                self._cursor.execute(self._sql["keep_word"], (number,))
        self.lasting[text] = number
        return number

    def correlation(self, text: str) -> int:
        """The number of a correlation id."""
        number, _ = self._find(text, 0)
        self.passing[text] = number
        return number

    def flush(self) -> None:
        """Write what is lined up."""
        if self._new:
            rows = [
                value
                for text, (number, lasts) in self._new.items()
                for value in (number, text, lasts, of_word(number, text))
            ]
            self._new = {}
            insert(self._cursor, "add_words", rows, 4)

    def _find(self, text: str, lasting: int) -> tuple[int, int]:
        """A text's number and whether it lasts; a text that is not there is lined up."""
        if text in self._new:
            return self._new[text]
        row = self._cursor.execute(self._sql["word_by_text"], (text,)).fetchone()
        if row is None:
            return self._add(text, lasting), lasting
        number, lasts, crc = row
        return _sound(number, text, crc), lasts

    def _add(self, text: str, lasting: int) -> int:
        self._last += 1
        self._new[text] = (self._last, lasting)
        if not lasting:
            self.passing[text] = self._last
        return self._last


def _sound(number: int, text: str, crc: int) -> int:
    """A text's number, if its row is what was written.

    Raises:
        sqlite3.DatabaseError: It is not: the index has led to another row, or the row was changed.
    """
    if of_word(number, text) != crc:
        raise damaged(f"the word {text[:100]!r} does not match its checksum")
    return number
