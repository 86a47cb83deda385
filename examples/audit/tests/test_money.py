"""Amounts: reading, showing, shares."""

from decimal import Decimal
from unittest import TestCase

from stockroom.money import Money


class TestMoney(TestCase):
    def test_reads_point_and_comma(self):
        self.assertEqual(Money.parse("12.5"), Money(1250))
        self.assertEqual(Money.parse(" 0,99 "), Money(99))

    def test_refuses_words(self):
        with self.assertRaises(ValueError):
            Money.parse("TODO")

    def test_shows_two_places(self):
        self.assertEqual(str(Money(-1205)), "-12.05")

    def test_rounds_half_up(self):
        self.assertEqual(Money(250).percent(Decimal(5)), Money(13))
