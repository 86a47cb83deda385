"""Invoices: made whole or not at all, numbered without a gap, readable."""

from datetime import date
from unittest import TestCase

from stockroom import Catalog, Ledger, Money, Movement, Product
from stockroom.billing import InvoiceMaker, Numbers
from stockroom.billing.render import WIDTH, render, summary
from stockroom.stock import OutOfStockError

DAY = date(2026, 12, 30)


def shop():
    """A shop with mugs, few pots and no trays."""
    catalog = Catalog()
    catalog.add(Product("MUG-01", "Mug with handle", Money(750)))
    catalog.add(Product("POT-01", "Tea pot", Money(2400), tax="reduced"))
    catalog.add(Product("TRY-01", "Wooden tray", Money(3120)))
    ledger = Ledger([Movement("MUG-01", 120, DAY), Movement("POT-01", 2, DAY)])
    return InvoiceMaker(catalog, ledger, Numbers("2026-00041"))


class TestInvoices(TestCase):
    def test_a_small_order_pays_shipping(self):
        invoice = shop().make("Ada", {"MUG-01": 2}, DAY)
        self.assertEqual(invoice.net, Money(1500 + 490))
        self.assertEqual(invoice.gross, Money(1500 + 285 + 490 + 93))

    def test_nothing_is_booked_when_something_is_missing(self):
        maker = shop()
        with self.assertRaises(OutOfStockError):
            maker.make("Ada", {"MUG-01": 1, "POT-01": 3}, DAY)
        self.assertEqual(maker.ledger.level("MUG-01"), 120)

    def test_a_partial_order_says_what_follows(self):
        invoice = shop().make("Ada", {"MUG-01": 1, "POT-01": 3, "TRY-01": 1}, DAY, partial=True)
        self.assertEqual(invoice.notes, ("Tea pot: 1 pieces will follow", "Wooden tray is sold out"))

    def test_numbers_begin_anew_each_year(self):
        maker = shop()
        numbers = [maker.make("Ada", {"MUG-01": 1}, day).number for day in (DAY, DAY, date(2027, 1, 2))]
        self.assertEqual(numbers, ["2026-00042", "2026-00043", "2027-00001"])


class TestPages(TestCase):
    def test_fits_the_width(self):
        invoice = shop().make("Ada", {"MUG-01": 60, "POT-01": 3}, DAY, partial=True)
        page = render(invoice, "The Shop")
        self.assertLessEqual(max(len(row) for row in page.split("\n")), WIDTH)
        self.assertIn("Mug with handle (8 % off)", page)
        self.assertIn(invoice.number, summary(invoice))
