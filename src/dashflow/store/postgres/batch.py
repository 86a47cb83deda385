"""A batch of operations as statements, and rows as its results. Pure: knows no connection."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import orjson

from dashflow.errors import UsageError
from dashflow.store.base import (
    GetOp,
    Item,
    ListNamespacesOp,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    validate_op_namespace,
)
from dashflow.store.encoding import encoded
from dashflow.store.index import Vectors
from dashflow.store.postgres.conditions import (
    Parameters,
    has_nul,
    is_text,
    of_filter,
    of_match,
    under,
    where,
)
from dashflow.store.postgres.config import VectorColumn
from dashflow.store.postgres.statements import Rows, Statement, queries

__all__ = ("Batch", "Settings", "checked", "sweep")

_CANDIDATES: Final = 4
"""How many of the nearest texts are looked at for each item of a page, when an index finds them."""

_DEEPEST: Final = 2**31 - 1


class Settings(NamedTuple):
    """How a store carries operations out.

    Attributes:
        column: Where vectors are; None: the store has no index.
        refreshes: Whether reads begin items' lives anew.
        omits: Whether items whose life is over are not seen.
        now: The moment; None: the server's.
        deserializer: Makes values of JSON; None reads it as it is.
    """

    column: VectorColumn | None = None
    refreshes: bool = False
    omits: bool = False
    now: datetime | None = None
    deserializer: Callable[[bytes], dict[str, Any]] | None = None


class _Step(NamedTuple):
    """A statement, and what is done with its rows."""

    statement: Statement
    take: Callable[[Rows], None]


def checked(ops: Sequence[Op]) -> dict[int, str]:
    """The JSON of the values that are put, by the operations' places; all operations are valid.

    Raises:
        InvalidNamespaceError: A label is not valid.
        TypeError: A value has something in it that JSON has not.
        UsageError: A key or a value has something in it that PostgreSQL has not.
        ValueError: Something is no operation.
    """
    values: dict[int, str] = {}
    for place, op in enumerate(ops):
        if not isinstance(op, GetOp | SearchOp | PutOp | ListNamespacesOp):
            raise ValueError(f"Unknown operation type: {type(op)}")
        validate_op_namespace(op)
        if isinstance(op, PutOp) and op.value is not None:
            values[place] = text = encoded(op.value, op.namespace, op.key)
            problem = "its value has the character NUL in it" if has_nul(text) else None
            if not is_text(".".join((*op.namespace, str(op.key)))):
                problem = "its place has the character NUL or half a surrogate pair in it"
            if problem:
                raise UsageError(
                    f"Item {op.key!r} of {op.namespace} cannot be stored: {problem}, which PostgreSQL keeps "
                    "nowhere. Take it out, or encode it."
                )
    return values


class Batch:
    """Operations on their way: ``statements`` are to be run in one transaction, ``take`` gets their rows.

    There may be a second round of statements; ``statements`` is empty when there is no more.

    Args:
        ops: The operations, all valid.
        values: The JSON of what is put, by place.
        vectors: Those of what is put and of the queries.
        settings: How the store carries them out.

    Attributes:
        results: Of the operations, in their order.
        statements: To be run next.
        writes: Whether anything is put or deleted.
    """

    def __init__(
        self, ops: Sequence[Op], values: Mapping[int, str], vectors: Vectors, settings: Settings
    ) -> None:
        self._ops = ops
        self._settings = settings
        self._vectors = vectors
        self._seen = [f"(s.expires_at IS NULL OR s.expires_at > {queries()['now']})"] * settings.omits
        self.results: list[Result] = [None] * len(ops)
        self.writes = any(isinstance(op, PutOp) for op in ops)
        self._steps = [*self._gets(), *self._searches(), *self._listings(), *self._puts(values)]

    @property
    def statements(self) -> list[Statement]:
        """To be run next."""
        return [step.statement for step in self._steps]

    def take(self, rows: Sequence[Rows]) -> None:
        """The rows of the statements."""
        steps, self._steps = self._steps, []
        for step, found in zip(steps, rows, strict=True):
            step.take(found)

    # -- reading ------------------------------------------------------------------------------

    def _of(self, kind: type) -> list[tuple[int, Any]]:
        return [(place, op) for place, op in enumerate(self._ops) if isinstance(op, kind)]

    def _statement(self, name: str, values: Mapping[str, Any], **parts: str) -> Statement:
        return _statement(name, {"now": self._settings.now, **values}, **parts)

    def _gets(self) -> list[_Step]:
        gets = [(place, op) for place, op in self._of(GetOp) if is_text(str(op.key))]
        if not gets:
            return []
        values: dict[str, Any] = {
            "prefixes": [".".join(op.namespace) for _, op in gets],
            "keys": [str(op.key) for _, op in gets],
            "refreshed": [bool(op.refresh_ttl) for _, op in gets],
        }
        refresh = self._settings.refreshes and any(values["refreshed"])

        def take(rows: Rows) -> None:
            for number, value, created_at, updated_at in rows:
                place, op = gets[number - 1]
                self.results[place] = Item(
                    value=self._value(value),
                    key=op.key,
                    namespace=tuple(op.namespace),
                    created_at=_utc(created_at),
                    updated_at=_utc(updated_at),
                )

        statement = self._statement(
            "get_and_refresh" if refresh else "get",
            values,
            where=where(self._seen),
            and_seen="".join(f"AND {one}" for one in self._seen),
        )
        return [_Step(statement, take)]

    def _searches(self) -> list[_Step]:
        return [self._search(place, op, near=not self.writes) for place, op in self._of(SearchOp)]

    def _search(self, place: int, op: SearchOp, *, near: bool) -> _Step:
        """A search; ``near``: it may be tried with an approximate index first."""
        values = Parameters(limit=op.limit, offset=op.offset)
        conditions = [*under(op.namespace_prefix, values), *of_filter(op.filter, values), *self._seen]
        parts = {"where": where(conditions)}
        column = self._settings.column
        query = self._vectors.queries.get(op.query) if op.query else None
        name = "search"
        if query is not None and column is not None:
            near = near and column.kind != "flat"
            name = "rank_near" if near else "rank"
            values["query"] = column.packed(query)
            values["candidates"] = (op.limit + op.offset) * _CANDIDATES
            parts |= {"score": column.score, "operator": column.operator, "type": column.type}
        statement = self._statement(name, values, **parts)
        if self._settings.refreshes and op.refresh_ttl:
            statement = self._statement("refresh_found", statement.values or {}, found=statement.text)

        def take(rows: Rows) -> None:
            if name == "rank_near" and len(rows) < op.limit:
                self._steps.append(self._search(place, op, near=False))
                return
            self.results[place] = [
                SearchItem(
                    tuple(prefix.split(".")),
                    key,
                    self._value(value),
                    _utc(created_at),
                    _utc(updated_at),
                    score,
                )
                for prefix, key, value, created_at, updated_at, score in rows
            ]

        return _Step(statement, take)

    def _listings(self) -> list[_Step]:
        return [self._listing(place, op) for place, op in self._of(ListNamespacesOp)]

    def _listing(self, place: int, op: ListNamespacesOp) -> _Step:
        depth = _DEEPEST if op.max_depth is None else op.max_depth
        values = Parameters(limit=op.limit, offset=op.offset, depth=depth)
        conditions = list(self._seen)
        for condition in op.match_conditions or ():
            if condition.path:
                conditions += of_match(condition, values)

        def take(rows: Rows) -> None:
            self.results[place] = [tuple(labels) for (labels,) in rows]

        return _Step(self._statement("namespaces", values, where=where(conditions)), take)

    # -- writing ------------------------------------------------------------------------------

    def _puts(self, values: Mapping[int, str]) -> list[_Step]:
        # Of each item the last operation counts.
        last = {(".".join(op.namespace), str(op.key)): (number, op) for number, op in self._of(PutOp)}
        deleted = [where for where, (_, op) in last.items() if op.value is None and is_text(where[1])]
        put = [(where, number, op) for where, (number, op) in last.items() if op.value is not None]
        statements = []
        if deleted:
            statements.append(self._statement("delete", _columns(deleted, "prefixes", "keys")))
        if put:
            rows = [
                (*where, values[number], None if op.ttl is None else float(op.ttl))
                for where, number, op in put
            ]
            columns = _columns(rows, "prefixes", "keys", "values", "minutes")
            statements.append(self._statement("put", columns))
        vectors = self._packed([(where, number) for where, number, _ in put])
        if vectors and self._settings.column is not None:
            columns = _columns(vectors, "prefixes", "keys", "paths", "vectors")
            statements.append(self._statement("put_vectors", columns, type=self._settings.column.type))
        return [_Step(statement, _nothing) for statement in statements]

    def _packed(self, put: Sequence[tuple[tuple[str, str], int]]) -> list[tuple[str, str, str, str]]:
        """The vectors of what is put: (namespace, key, path, vector)."""
        column = self._settings.column
        if column is None:
            return []
        return [
            (prefix, key, path, column.packed(vector))
            for (prefix, key), number in put
            for path, vector in dict(self._vectors.documents.get(number, ())).items()
        ]

    # -- values -------------------------------------------------------------------------------

    def _value(self, stored: str) -> dict[str, Any]:
        if self._settings.deserializer is not None:
            return self._settings.deserializer(stored.encode())
        value: dict[str, Any] = orjson.loads(stored)
        return value


def sweep(now: datetime | None) -> Statement:
    """Deletes what is over; its row says how many items that were."""
    return _statement("sweep", {"now": now})


def _statement(name: str, values: Mapping[str, Any], **parts: str) -> Statement:
    return Statement(queries()[name].format(now=queries()["now"], **parts), values)


def _nothing(rows: Rows) -> None:
    """What comes of a statement that only writes."""


def _columns(rows: Sequence[Sequence[Any]], *names: str) -> dict[str, list[Any]]:
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def _utc(time: datetime) -> datetime:
    return time.astimezone(UTC)
