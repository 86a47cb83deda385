"""Products and the catalogue that holds them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from stockroom.money import Money


@dataclass(frozen=True)
class Product:
    """Something that is sold. ``sku`` never changes, name and price may."""

    sku: str
    name: str
    price: Money
    tax: str = "standard"
    supplier: str = ""
    reorder_at: int = 0


class UnknownProductError(KeyError):
    """No product has this sku."""


class Catalog:
    """Products by sku."""

    def __init__(self) -> None:
        self._products: dict[str, Product] = {}

    def __len__(self) -> int:
        return len(self._products)

    def __iter__(self) -> Iterator[Product]:
        return iter(sorted(self._products.values(), key=lambda product: product.sku))

    def add(self, product: Product) -> None:
        """Add a product; a sku may be used once only."""
        if product.sku in self._products:
            raise ValueError(f"sku {product.sku!r} is taken")
        self._products[product.sku] = product

    def get(self, sku: str) -> Product:
        """The product of that sku."""
        try:
            return self._products[sku]
        except KeyError:
            raise UnknownProductError(sku) from None

    def reprice(self, sku: str, price: Money) -> Product:
        """Give a product another price."""
        # TODO: keep the former price, invoices of last month show the new one
        changed = replace(self.get(sku), price=price)
        self._products[sku] = changed
        return changed

    def search(self, words: str) -> list[Product]:
        """Products whose name has all the words."""
        wanted = words.lower().split()
        return [product for product in self if all(word in product.name.lower() for word in wanted)]
