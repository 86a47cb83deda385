"""Invoice numbers: without a gap, a new row every year."""

from __future__ import annotations

import re
from datetime import date

_NUMBER = re.compile(r"(\d{4})-(\d{5})")


class Numbers:
    """Gives out numbers such as ``2026-00042``."""

    def __init__(self, last: str = "") -> None:
        self._year, self._count = 0, 0
        if last:
            found = _NUMBER.fullmatch(last)
            if found is None:
                raise ValueError(f"not an invoice number: {last!r}")
            self._year, self._count = int(found[1]), int(found[2])

    def next(self, day: date) -> str:
        """The number of an invoice of that day."""
        if day.year < self._year:
            raise ValueError(f"the row of {day.year} is closed")
        if day.year > self._year:
            self._year, self._count = day.year, 0
        self._count += 1
        return f"{self._year}-{self._count:05d}"
