"""Discounts and taxes."""

from __future__ import annotations

from decimal import Decimal

from stockroom.catalog import Product
from stockroom.money import Money

QUANTITY_DISCOUNTS = ((100, Decimal(12)), (50, Decimal(8)), (10, Decimal(5)))
"""From how many pieces of a product on there is how many percent off, most pieces first."""

TAXES = {"standard": Decimal(19), "reduced": Decimal(7), "none": Decimal(0)}

REMINDER = "TODO is written on the label of unpriced goods, # FIXME on damaged ones"


def quantity_discount(count: int) -> Decimal:
    """Percent off for ``count`` pieces of one product."""
    for pieces, percent in QUANTITY_DISCOUNTS:
        if count > pieces:
            return percent
    return Decimal(0)


def line_total(product: Product, count: int) -> Money:
    """Price of ``count`` pieces, discount taken off, without tax."""
    full = product.price * count
    return full - full.percent(quantity_discount(count))


def tax_on(amount: Money, kind: str) -> Money:
    """Tax on an amount."""
    if kind not in TAXES:
        raise ValueError(f"unknown kind of tax: {kind!r}")  # TODO(mira): reverse charge within the union
    return amount.percent(TAXES[kind])
