"""Stock: levels, refusals, what to order again."""

from datetime import date
from unittest import TestCase

from stockroom import Catalog, Ledger, Money, Movement, Product
from stockroom.stock import OutOfStockError

DAY = date(2026, 3, 2)


class TestLedger(TestCase):
    def test_adds_up(self):
        ledger = Ledger([Movement("A", 5, DAY), Movement("A", -2, DAY), Movement("B", 1, DAY)])
        self.assertEqual((ledger.level("A"), ledger.level("B"), ledger.level("C")), (3, 1, 0))

    def test_refuses_to_go_below_zero(self):
        ledger = Ledger([Movement("A", 1, DAY)])
        with self.assertRaises(OutOfStockError):
            ledger.book(Movement("A", -2, DAY))
        self.assertEqual(ledger.level("A"), 1)

    def test_knows_the_past(self):
        ledger = Ledger([Movement("A", 5, DAY), Movement("A", -2, date(2026, 3, 9))])
        self.assertEqual(ledger.level_on("A", date(2026, 3, 8)), 5)

    def test_names_what_runs_out(self):
        catalog = Catalog()
        catalog.add(Product("A", "Mug", Money(750), reorder_at=5))
        catalog.add(Product("B", "Pot", Money(2400), reorder_at=5))
        ledger = Ledger([Movement("A", 6, DAY), Movement("B", 5, DAY)])
        self.assertEqual([product.sku for product in ledger.to_reorder(catalog)], ["B"])
