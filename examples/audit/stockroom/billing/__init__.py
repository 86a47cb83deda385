"""Invoices: made, numbered, shown."""

from stockroom.billing.invoice import Invoice, InvoiceMaker, Line
from stockroom.billing.numbering import Numbers

__all__ = ["Invoice", "InvoiceMaker", "Line", "Numbers"]
