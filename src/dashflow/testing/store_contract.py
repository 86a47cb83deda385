"""The stores' contract as tests: subclass ``StoreContract``, say how to open your store.

::

    class TestMyStore(StoreContract):
        @contextmanager
        def open_store(self, place: Path, **options: Any) -> Iterator[MyStore]:
            with MyStore(place / "items", **options) as store:
                yield store

With ``is_async = True``, ``open_store`` is an async context manager and the async methods are tested. Leave
``MeaningContract`` out for a store without an index, ``LifeContract`` for one whose items cannot end.
"""

from __future__ import annotations

from dashflow.testing.store_items_contract import ItemsContract, NamespacesContract
from dashflow.testing.store_life_contract import LifeContract
from dashflow.testing.store_search_contract import MeaningContract, SearchContract

__all__ = (
    "ItemsContract",
    "LifeContract",
    "MeaningContract",
    "NamespacesContract",
    "SearchContract",
    "StoreContract",
)


class StoreContract(ItemsContract, NamespacesContract, SearchContract, MeaningContract, LifeContract):
    """All of it."""
