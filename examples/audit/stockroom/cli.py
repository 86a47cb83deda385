"""The command line: shows what a list of products comes to."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

from stockroom.catalog import Catalog
from stockroom.intake.csvfile import reader
from stockroom.money import ZERO
from stockroom.stock import Ledger

USAGE = "usage: python -m stockroom FILE.csv   # TODO and FIXME rows are taken as they are"


def main(arguments: list[str]) -> int:
    """Read a list, print stock and value; 2 for wrong use, 1 when rows were rejected."""
    if len(arguments) != 1:
        print(USAGE, file=sys.stderr)
        return 2
    catalog, ledger = Catalog(), Ledger()
    text = Path(arguments[0]).read_text(encoding="utf-8")
    rejected = reader("the command line", date.today())(text, catalog, ledger)
    value = ZERO
    for product in catalog:
        pieces = ledger.level(product.sku)
        value = value + product.price * pieces
        print(f"{product.sku:<10}{product.name:<30}{pieces:>6}{product.price!s:>10}")
    print(f"{len(catalog)} products worth {value}")
    for row in rejected:
        print(f"row {row.row}: {row.why}", file=sys.stderr)
    return 1 if rejected else 0
