"""Supplier lists: many shapes, one result."""

from datetime import date
from unittest import TestCase

from stockroom import Catalog, Ledger, Money
from stockroom.intake.csvfile import reader

DAY = date(2026, 3, 2)


class TestLists(TestCase):
    def setUp(self):
        self.catalog, self.ledger = Catalog(), Ledger()
        self.read = reader("Potters & Co", DAY)

    def test_other_titles_and_semicolons(self):
        rejected = self.read("Article;Title;Net_Price;On hand\nm1;Mug;7,50;12\n", self.catalog, self.ledger)
        self.assertEqual(rejected, [])
        self.assertEqual(self.catalog.get("M1").price, Money(750))
        self.assertEqual(self.ledger.level("M1"), 12)

    def test_bad_rows_do_not_stop_good_ones(self):
        text = "sku,name,price,stock\nA,Mug,cheap,1\nB,Pot,24,x\n,Tray,3,1\nC,Cup,2,1\nC,Cup,2,1\n"
        rejected = self.read(text, self.catalog, self.ledger)
        self.assertEqual([row.row for row in rejected], [2, 3, 4, 6])
        self.assertEqual([product.sku for product in self.catalog], ["C"])

    def test_a_list_without_prices_is_refused(self):
        rejected = self.read("sku,name\nA,Mug\n", self.catalog, self.ledger)
        self.assertEqual(rejected[0].why, "no column for price")
