"""What came in and went out, and what is left."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from stockroom.catalog import Catalog, Product


@dataclass(frozen=True)
class Movement:
    """A change of one product's stock; ``count`` is negative for what goes out."""

    sku: str
    count: int
    day: date
    reason: str = ""


class OutOfStockError(Exception):
    """More was asked for than is there."""


class Ledger:
    """All movements, in the order in which they were booked."""

    def __init__(self, movements: Iterable[Movement] = ()) -> None:
        self._movements: list[Movement] = []
        self._levels: dict[str, int] = {}
        for movement in movements:
            self.book(movement)

    def book(self, movement: Movement) -> int:
        """Book a movement; the level after it."""
        level = self.level(movement.sku) + movement.count
        if level < 0:
            raise OutOfStockError(f"{movement.sku}: {-level} missing on {movement.day.isoformat()}")
        self._levels[movement.sku] = level
        self._movements.append(movement)
        return level

    def level(self, sku: str) -> int:
        """Pieces in stock."""
        return self._levels.get(sku, 0)

    def level_on(self, sku: str, day: date) -> int:
        """Pieces in stock at the end of a day."""
        # FIXME: walks through all movements, far too slow since the shop has ten years of them
        return sum(one.count for one in self._movements if one.sku == sku and one.day <= day)

    def to_reorder(self, catalog: Catalog) -> list[Product]:
        """Products at or below the level at which they are ordered again."""
        return [product for product in catalog if self.level(product.sku) <= product.reorder_at]
