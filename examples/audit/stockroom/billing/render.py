"""Invoices as plain text of a fixed width."""

from __future__ import annotations

from stockroom.billing.invoice import Invoice

WIDTH = 64


def render(invoice: Invoice, sender: str = "") -> str:
    """The invoice as a page of text."""
    rows: list[str] = []
    if sender:
        rows.append(sender.center(WIDTH).rstrip())
        rows.append("=" * WIDTH)
        rows.append("")

    # a credit is an invoice that pays out
    credit = invoice.gross.cents < 0
    title = "Credit" if credit else "Invoice"
    rows.append(f"{title} {invoice.number}")
    rows.append("")
    rows.append(f"To:   {invoice.customer}")
    rows.append(f"Date: {invoice.day.isoformat()}")
    if not credit:
        days = (invoice.due - invoice.day).days
        rows.append(f"Due:  {invoice.due.isoformat()}, in {days} days")
    rows.append("")

    head = f"{'Pieces':>6}  {'Article':<36}{'Net':>9}{'Tax':>9}"
    rows.append(head)
    rows.append("-" * WIDTH)
    for line in invoice.lines:
        text = line.text
        first = text[:36]
        rest = text[36:]
        rows.append(f"{line.count:>6}  {first:<36}{line.net!s:>9}{line.tax!s:>9}")
        while rest:
            first = rest[:36]
            rest = rest[36:]
            rows.append(f"{'':>6}  {first}")
    rows.append("-" * WIDTH)

    taxes = invoice.gross - invoice.net
    rows.append(f"{'Net':>53}{invoice.net!s:>11}")
    rows.append(f"{'Tax':>53}{taxes!s:>11}")
    if credit:
        rows.append(f"{'Paid out':>53}{invoice.gross!s:>11}")
    else:
        rows.append(f"{'To pay':>53}{invoice.gross!s:>11}")

    if invoice.notes:
        rows.append("")
        rows.append("Please note:")
        for note in invoice.notes:
            words = note.split()
            row = "  -"
            for word in words:
                if len(row) + 1 + len(word) > WIDTH:
                    rows.append(row)
                    row = "   "
                row = f"{row} {word}"
            rows.append(row)

    # FIXME: customers abroad need the bank's international number
    rows.append("")
    if not credit:
        rows.append("Thank you for your order.")
    return "\n".join(rows) + "\n"


def summary(invoice: Invoice) -> str:
    """One line for lists."""
    return f"{invoice.number}  {invoice.day.isoformat()}  {invoice.gross!s:>10}  {invoice.customer}"
