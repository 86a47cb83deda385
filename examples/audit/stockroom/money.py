"""Amounts of money in whole cents. Never floats."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation


@dataclass(frozen=True, order=True)
class Money:
    """An amount in cents; negative amounts are credits."""

    cents: int

    @classmethod
    def parse(cls, text: str) -> Money:
        """Read ``12``, ``12.5`` or ``12.50``; a comma may stand for the point."""
        try:
            amount = Decimal(text.strip().replace(",", "."))
        except InvalidOperation:
            raise ValueError(f"not an amount of money: {text!r}") from None
        return cls(int((amount * 100).to_integral_value(ROUND_HALF_UP)))

    def __add__(self, other: Money) -> Money:
        return Money(self.cents + other.cents)

    def __sub__(self, other: Money) -> Money:
        return Money(self.cents - other.cents)

    def __mul__(self, count: int) -> Money:
        return Money(self.cents * count)

    def percent(self, rate: Decimal) -> Money:
        """``rate`` percent of the amount, rounded half up to the cent."""
        share = Decimal(self.cents) * rate / 100
        return Money(int(share.to_integral_value(ROUND_HALF_UP)))

    def __str__(self) -> str:
        sign = "-" if self.cents < 0 else ""
        whole, rest = divmod(abs(self.cents), 100)
        return f"{sign}{whole}.{rest:02d}"


ZERO = Money(0)
