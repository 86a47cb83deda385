"""The exporter of version 1. One partner still reads its format; nobody likes to touch it."""

import sys

# FIXME: the partner's new system wants UTF-8, this writes what it always wrote
ENCODING = "latin-1"


def export(rows, out):
    """Write records of 80 columns: a head, one record for each product, a foot with control sums."""
    count = 0
    pieces = 0
    cents = 0
    out.write("H1" + "STOCKROOM".ljust(20) + "01.00".rjust(8) + " " * 50 + "\n")
    for row in rows:
        record = "P1"
        sku = str(row.get("sku", ""))
        if len(sku) > 12:
            sys.stderr.write("sku too long: " + sku + "\n")
            sku = sku[:12]
        record = record + sku.ljust(12)
        name = str(row.get("name", ""))
        name = name.replace("\t", " ")
        name = name.replace("\r", " ")
        name = name.replace("\n", " ")
        while "  " in name:
            name = name.replace("  ", " ")
        if len(name) > 30:
            name = name[:29] + "."
        record = record + name.ljust(30)
        price = row.get("price", 0)
        if price < 0:
            record = record + "-"
            price = -price
        else:
            record = record + "+"
        record = record + str(price).rjust(9, "0")
        stock = row.get("stock", 0)
        if stock < 0:
            # TODO ask the partner whether negative stock is allowed by now
            stock = 0
        record = record + str(stock).rjust(7, "0")
        tax = row.get("tax", "standard")
        if tax == "standard":
            record = record + "1"
        elif tax == "reduced":
            record = record + "2"
        elif tax == "none":
            record = record + "0"
        else:
            record = record + "9"
        supplier = str(row.get("supplier", ""))
        if len(supplier) > 18:
            supplier = supplier[:18]
        record = record + supplier.ljust(18)
        if len(record) != 80:
            raise ValueError("record of " + str(len(record)) + " columns: " + record)
        out.write(record + "\n")
        count = count + 1
        pieces = pieces + stock
        cents = cents + price * stock
        if count % 1000 == 0:
            sys.stderr.write(str(count) + " records\n")
            sys.stderr.flush()
    if count == 0:
        sys.stderr.write("no records\n")
    foot = "F1"
    foot = foot + str(count).rjust(8, "0")
    foot = foot + str(pieces).rjust(12, "0")
    foot = foot + str(cents).rjust(16, "0")
    out.write(foot.ljust(80) + "\n")
    return count
