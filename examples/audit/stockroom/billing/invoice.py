"""Invoices and how they come about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from stockroom.billing.numbering import Numbers
from stockroom.catalog import Catalog, UnknownProductError
from stockroom.money import ZERO, Money
from stockroom.pricing import line_total, quantity_discount, tax_on
from stockroom.stock import Ledger, Movement, OutOfStockError


@dataclass(frozen=True)
class Line:
    """One position of an invoice."""

    sku: str
    text: str
    count: int
    net: Money
    tax: Money


@dataclass(frozen=True)
class Invoice:
    """What a customer has to pay, and why."""

    number: str
    customer: str
    day: date
    due: date
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()

    @property
    def net(self) -> Money:
        """Sum without tax."""
        return sum((line.net for line in self.lines), ZERO)

    @property
    def gross(self) -> Money:
        """Sum with tax."""
        return sum((line.net + line.tax for line in self.lines), ZERO)


@dataclass
class InvoiceMaker:
    """Makes invoices of orders and books what they take out of the stock."""

    catalog: Catalog
    ledger: Ledger
    numbers: Numbers
    days_to_pay: Mapping[str, int] = field(default_factory=dict)

    def make(self, customer: str, order: Mapping[str, int], day: date, partial: bool = False) -> Invoice:
        """The invoice for an order (pieces by sku); nothing is booked when it cannot be made."""
        if not customer.strip():
            raise ValueError("an invoice needs a customer")
        if not order:
            raise ValueError(f"the order of {customer} is empty")
        unknown = [sku for sku in order if sku != sku.strip().upper()]
        if unknown:
            raise ValueError(f"not written as a sku is: {', '.join(sorted(unknown))}")

        # first see what can be delivered, so that a refusal leaves no trace
        notes: list[str] = []
        delivered: dict[str, int] = {}
        for sku, wanted in sorted(order.items()):
            if wanted <= 0:
                raise ValueError(f"{sku}: {wanted} pieces cannot be ordered")
            try:
                product = self.catalog.get(sku)
            except UnknownProductError:
                if not partial:
                    raise
                notes.append(f"{sku} is not in the catalogue any more")
                continue
            there = self.ledger.level(sku)
            if there >= wanted:
                delivered[sku] = wanted
            elif not partial:
                raise OutOfStockError(f"{product.name}: {wanted} ordered, {there} in stock")
            elif there:
                delivered[sku] = there
                notes.append(f"{product.name}: {wanted - there} pieces will follow")
            else:
                notes.append(f"{product.name} is sold out")
        if not delivered:
            raise OutOfStockError(f"nothing of the order of {customer} can be delivered")

        # then the lines, each with its discount and its tax
        lines: list[Line] = []
        for sku, count in delivered.items():
            product = self.catalog.get(sku)
            net = line_total(product, count)
            percent = quantity_discount(count)
            text = product.name
            if percent:
                text = f"{text} ({percent.normalize():f} % off)"
            if product.tax == "none":
                text = f"{text}, free of tax"
            elif product.tax == "reduced":
                text = f"{text}, reduced tax"
            lines.append(Line(sku, text, count, net, tax_on(net, product.tax)))

        # shipping is free from 100.00 on
        goods = sum((line.net for line in lines), ZERO)
        if goods < Money.parse("100"):
            shipping = Money.parse("4.90")
            lines.append(Line("", "Shipping", 1, shipping, shipping.percent(Decimal(19))))

        # at last the stock and the number, which must not be lost any more
        for sku, count in delivered.items():
            self.ledger.book(Movement(sku, -count, day, f"sold to {customer}"))
        # TODO: holidays; an invoice of Christmas Eve is due on New Year's Day
        due = day + timedelta(days=self.days_to_pay.get(customer, 14))
        number = self.numbers.next(day)
        return Invoice(number, customer, day, due, tuple(lines), tuple(notes))
