"""What a store returns. Plain values; knows no store."""

from __future__ import annotations

from datetime import datetime
from typing import Any

__all__ = ("Item", "SearchItem")


class Item:
    """A stored value with its place and times.

    Args:
        value: The value. Its keys can be filtered by.
        key: Unique within the namespace.
        namespace: The path of the collection it is in.
        created_at: When the key was first put; ISO text is read.
        updated_at: When the key was last put; ISO text is read.
    """

    __slots__ = ("created_at", "key", "namespace", "updated_at", "value")

    def __init__(
        self,
        *,
        value: dict[str, Any],
        key: str,
        namespace: tuple[str, ...],
        created_at: datetime,
        updated_at: datetime,
    ) -> None:
        self.value = value
        self.key = key
        # Lists and texts come from JSON.
        self.namespace = tuple(namespace)
        self.created_at = _time(created_at)
        self.updated_at = _time(updated_at)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Item) and all(
            getattr(self, name) == getattr(other, name) for name in Item.__slots__
        )

    def __hash__(self) -> int:
        return hash((self.namespace, self.key))

    def dict(self) -> dict[str, Any]:
        """The item as JSON would have it: the namespace as a list, times as ISO text."""
        return {
            "namespace": list(self.namespace),
            "key": self.key,
            "value": self.value,
            "created_at": self.created_at.isoformat(),
            "updated_at": self.updated_at.isoformat(),
        }

    def __repr__(self) -> str:
        return "Item({})".format(", ".join(f"{name}={value!r}" for name, value in self.dict().items()))


class SearchItem(Item):
    """An item that a search found.

    Args:
        namespace: The path of the collection it is in.
        key: Unique within the namespace.
        value: The value.
        created_at: When the key was first put.
        updated_at: When the key was last put.
        score: How near it is to the query, the more the nearer; None when it was not ranked.
    """

    __slots__ = ("score",)

    def __init__(
        self,
        namespace: tuple[str, ...],
        key: str,
        value: dict[str, Any],
        created_at: datetime,
        updated_at: datetime,
        score: float | None = None,
    ) -> None:
        super().__init__(
            value=value, key=key, namespace=namespace, created_at=created_at, updated_at=updated_at
        )
        self.score = score

    def dict(self) -> dict[str, Any]:
        """The item as JSON would have it, with its score."""
        return {**super().dict(), "score": self.score}


def _time(value: datetime | str) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value
