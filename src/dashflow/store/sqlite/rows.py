"""Operations on the rows of a store's file, within one transaction at one moment."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from dashflow.store.base import GetOp, Item, ListNamespacesOp, Op, PutOp, Result, SearchItem, SearchOp
from dashflow.store.base.namespaces import matches
from dashflow.store.index import NO_VECTORS, Vectors
from dashflow.store.sqlite.conditions import Condition, of_filter, under, where
from dashflow.store.sqlite.scores import packed

__all__ = ("Rows",)

_GET: Final = "SELECT s.value, s.created_at, s.updated_at, s.ttl_minutes FROM store AS s"

_SEARCH: Final = """
    SELECT s.prefix, s.key, s.value, s.created_at, s.updated_at, s.ttl_minutes, NULL
    FROM store AS s {where}
    ORDER BY s.updated_at DESC, s.prefix, s.key LIMIT ? OFFSET ?
"""

_RANK: Final = """
    SELECT s.prefix, s.key, s.value, s.created_at, s.updated_at, s.ttl_minutes, max({score}) AS score
    FROM store_vectors AS v JOIN store AS s ON s.prefix = v.prefix AND s.key = v.key {where}
    GROUP BY s.prefix, s.key
    ORDER BY score DESC, s.prefix, s.key LIMIT ? OFFSET ?
"""

_NAMESPACES: Final = "SELECT DISTINCT s.prefix FROM store AS s {where} ORDER BY s.prefix"

_PUT: Final = """
    INSERT INTO store (prefix, key, value, created_at, updated_at, expires_at, ttl_minutes)
    VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (prefix, key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at,
        expires_at = excluded.expires_at, ttl_minutes = excluded.ttl_minutes
"""

_PUT_VECTOR: Final = """
    INSERT OR REPLACE INTO store_vectors (prefix, key, field_name, embedding, created_at, updated_at)
    VALUES (?, ?, ?, ?, ?, ?)
"""

_DELETE: Final = "DELETE FROM store WHERE prefix = ? AND key = ?"
_REFRESH: Final = "UPDATE store SET expires_at = ? WHERE prefix = ? AND key = ?"
_SWEEP: Final = "DELETE FROM store WHERE expires_at <= ?"


class Rows:
    """A store's rows, at one moment.

    Args:
        cursor: In a transaction.
        now: The moment.
        vectors: Those of what is put and of the queries.
        score: The expression of SQL that compares vectors.
        refreshes: Whether reads begin items' lives anew.
        omits: Whether items whose life is over are not seen.
        deserializer: Makes values of JSON; None reads it as it is.
    """

    def __init__(
        self,
        cursor: sqlite3.Cursor,
        now: datetime,
        *,
        vectors: Vectors = NO_VECTORS,
        score: str = "",
        refreshes: bool = False,
        omits: bool = False,
        deserializer: Callable[[bytes], dict[str, Any]] | None = None,
    ) -> None:
        self._cursor = cursor
        self._now = now
        self._now_text = time_text(now)
        self._vectors = vectors
        self._score = score
        self._refreshes = refreshes
        self._seen = [Condition("(s.expires_at IS NULL OR s.expires_at > ?)", (self._now_text,))] * omits
        self._deserializer = deserializer

    def read(self, op: Op) -> Result:
        """The result of an operation that reads; None for one that puts.

        Raises:
            ValueError: It is no operation that is known.
        """
        if isinstance(op, GetOp):
            return self._get(op)
        if isinstance(op, SearchOp):
            return self._search(op)
        if isinstance(op, ListNamespacesOp):
            return self._list_namespaces(op)
        if isinstance(op, PutOp):
            return None
        raise ValueError(f"Unknown operation type: {type(op)}")

    def put(self, number: int, op: PutOp, value: str | None) -> None:
        """Put an item whose JSON is ``value``, or delete it; its vectors follow.

        Args:
            number: The operation's place in the batch.
            op: The operation.
            value: None: delete the item.
        """
        place = (".".join(op.namespace), op.key)
        if value is None:
            self._cursor.execute(_DELETE, place)
            return
        now = self._now_text
        end = None if op.ttl is None else self._end(op.ttl)
        self._cursor.execute(_PUT, (*place, value, now, now, end, op.ttl))
        for path, vector in self._vectors.documents.get(number, ()):
            self._cursor.execute(_PUT_VECTOR, (*place, path, packed(vector), now, now))

    def sweep(self) -> int:
        """Delete what is over; how many items that were."""
        return self._cursor.execute(_SWEEP, (self._now_text,)).rowcount

    def _get(self, op: GetOp) -> Item | None:
        namespace = tuple(op.namespace)
        prefix = ".".join(namespace)
        text, values = where([Condition("s.prefix = ? AND s.key = ?", (prefix, op.key)), *self._seen])
        row = self._cursor.execute(f"{_GET} {text}", values).fetchone()
        if row is None:
            return None
        value, created_at, updated_at, minutes = row
        if op.refresh_ttl:
            self._refresh([(prefix, op.key, minutes)])
        return Item(
            value=self._value(value),
            key=op.key,
            namespace=namespace,
            created_at=created_at,
            updated_at=updated_at,
        )

    def _search(self, op: SearchOp) -> list[SearchItem]:
        conditions = [*under(tuple(op.namespace_prefix)), *of_filter(op.filter), *self._seen]
        text, values = where(conditions)
        page = (op.limit, op.offset)
        query = self._vectors.queries.get(op.query) if op.query else None
        if query is not None:
            statement = _RANK.format(score=self._score, where=text)
            rows = self._cursor.execute(statement, (packed(query), *values, *page)).fetchall()
        else:
            rows = self._cursor.execute(_SEARCH.format(where=text), (*values, *page)).fetchall()
        if op.refresh_ttl:
            self._refresh((prefix, key, minutes) for prefix, key, _, _, _, minutes, _ in rows)
        return [
            SearchItem(tuple(prefix.split(".")), key, self._value(value), created_at, updated_at, score)
            for prefix, key, value, created_at, updated_at, _, score in rows
        ]

    def _list_namespaces(self, op: ListNamespacesOp) -> list[tuple[str, ...]]:
        conditions = list(self._seen)
        rest = []
        for condition in op.match_conditions or ():
            if condition.match_type == "prefix" and "*" not in condition.path:
                conditions += under(tuple(condition.path))
            elif condition.path:
                rest.append(condition)
        text, values = where(conditions)
        statement = _NAMESPACES.format(where=text)
        if not rest and op.max_depth is None:
            statement, values = f"{statement} LIMIT ? OFFSET ?", (*values, op.limit, op.offset)
            return [tuple(prefix.split(".")) for (prefix,) in self._cursor.execute(statement, values)]
        found = (tuple(prefix.split(".")) for (prefix,) in self._cursor.execute(statement, values))
        fitting = dict.fromkeys(
            namespace[: op.max_depth]
            for namespace in found
            if all(matches(condition, namespace) for condition in rest)
        )
        return list(fitting)[op.offset : op.offset + op.limit]

    def _refresh(self, places: Iterable[tuple[str, str, float | None]]) -> None:
        """Begin the life of items anew, if reads do that."""
        if self._refreshes:
            self._cursor.executemany(
                _REFRESH,
                [(self._end(minutes), prefix, key) for prefix, key, minutes in places if minutes is not None],
            )

    def _end(self, minutes: float) -> str:
        return time_text(self._now + timedelta(minutes=minutes))

    def _value(self, stored: str | bytes) -> dict[str, Any]:
        if self._deserializer is not None:
            return self._deserializer(stored.encode() if isinstance(stored, str) else stored)
        value: dict[str, Any] = orjson.loads(stored)
        return value


def time_text(time: datetime) -> str:
    """A time in UTC, as text whose order is that of times, also among LangGraph's without fractions."""
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
