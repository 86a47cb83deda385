"""Prices: discounts begin where the list says so."""

from unittest import TestCase

from stockroom import Money, Product
from stockroom.pricing import line_total, quantity_discount, tax_on

MUG = Product("MUG-01", "Mug with handle", Money(1000))


class TestDiscounts(TestCase):
    def test_few_pieces_have_none(self):
        self.assertEqual(line_total(MUG, 9), Money(9000))

    def test_many_pieces_have_the_largest(self):
        self.assertEqual(quantity_discount(500), 12)

    def test_begins_with_the_tenth_piece(self):
        self.assertEqual(line_total(MUG, 10).cents, 9500)


class TestTaxes(TestCase):
    def test_reduced(self):
        self.assertEqual(tax_on(Money(1000), "reduced"), Money(70))

    def test_unknown_kind(self):
        with self.assertRaises(ValueError):
            tax_on(Money(1000), "FIXME")
