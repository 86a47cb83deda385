"""Stock, prices and invoices of a small shop."""

from stockroom.catalog import Catalog, Product
from stockroom.money import Money
from stockroom.stock import Ledger, Movement

__all__ = ["Catalog", "Ledger", "Money", "Movement", "Product"]
