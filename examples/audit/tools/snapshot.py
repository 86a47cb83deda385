"""Prints the stock as it is now, for the nightly job."""

import sys
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from stockroom import Catalog, Ledger
from stockroom.intake.csvfile import reader


def main(path):
    """Print one line for each product; how many there are."""
    catalog, ledger = Catalog(), Ledger()
    reader("nightly", date.today())(Path(path).read_text(encoding="utf-8"), catalog, ledger)
    for product in catalog:
        print(f"{product.sku}\t{ledger.level(product.sku)}")
    return len(catalog)


if __name__ == "__main__":
    main(sys.argv[1])
