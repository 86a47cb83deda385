"""Supplier lists in CSV, as different as suppliers are."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from stockroom.catalog import Catalog, Product
from stockroom.money import Money
from stockroom.stock import Ledger, Movement

ALIASES = {
    "sku": ("sku", "article", "item no", "number"),
    "name": ("name", "title", "description"),
    "price": ("price", "net price", "amount"),
    "stock": ("stock", "pieces", "quantity", "on hand"),
    "tax": ("tax", "tax class"),
}


@dataclass(frozen=True)
class Rejected:
    """A row that was not taken, and why."""

    row: int
    why: str


def reader(supplier: str, day: date) -> Callable[[str, Catalog, Ledger], list[Rejected]]:
    """A function that reads the lists of one supplier into a catalogue and a ledger."""

    def read(text: str, catalog: Catalog, ledger: Ledger) -> list[Rejected]:
        if text.startswith("\ufeff"):
            text = text[1:]
        sample = text.split("\n", 1)[0]
        delimiter = ","
        for candidate in (";", "\t", "|"):
            if sample.count(candidate) > sample.count(delimiter):
                delimiter = candidate
        rows = csv.reader(io.StringIO(text), delimiter=delimiter)

        columns: dict[str, int] = {}
        try:
            heading = next(rows)
        except StopIteration:
            return [Rejected(0, "the list is empty")]
        for position, title in enumerate(heading):
            plain = title.strip().lower().replace("_", " ")
            for column, names in ALIASES.items():
                if plain in names and column not in columns:
                    columns[column] = position
        missing = [column for column in ("sku", "name", "price") if column not in columns]
        if missing:
            return [Rejected(1, f"no column for {', '.join(missing)}")]

        rejected: list[Rejected] = []
        seen: set[str] = set()
        for number, row in enumerate(rows, start=2):
            if not any(cell.strip() for cell in row):
                continue
            cells = {
                column: row[position].strip() if position < len(row) else ""
                for column, position in columns.items()
            }
            sku = cells["sku"].upper()
            if not sku:
                rejected.append(Rejected(number, "no sku"))
                continue
            if sku in seen:
                rejected.append(Rejected(number, f"{sku} stands in the list twice"))
                continue
            seen.add(sku)
            try:
                price = Money.parse(cells["price"])
            except ValueError as error:
                rejected.append(Rejected(number, str(error)))
                continue
            if price.cents < 0:
                rejected.append(Rejected(number, f"{sku} has a price below zero"))
                continue
            if not cells["name"]:
                rejected.append(Rejected(number, f"{sku} has no name"))
                continue
            pieces = cells.get("stock") or "0"
            if not pieces.isdigit():
                rejected.append(Rejected(number, f"not a number of pieces: {pieces!r}"))
                continue
            # TODO: suppliers write "7 %" where we expect the name of a tax
            tax = cells.get("tax") or "standard"
            product = Product(sku, cells["name"], price, tax, supplier)
            if any(known.sku == sku for known in catalog):
                catalog.reprice(sku, price)
            else:
                catalog.add(product)
            if int(pieces):
                ledger.book(Movement(sku, int(pieces), day, f"list of {supplier}"))
        return rejected

    return read
