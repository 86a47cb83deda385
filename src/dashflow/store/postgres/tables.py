"""The tables of a store's database: LangGraph's, so that either program can open what the other made.

``set_up`` brings a database from any earlier layout to today's, one numbered step each, all or none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from dashflow.errors import UsageError
from dashflow.store.postgres.config import VectorColumn
from dashflow.store.postgres.ports import Port
from dashflow.store.postgres.statements import Statement, queries, script

__all__ = ("MIGRATIONS", "VECTOR_MIGRATIONS", "Layout", "pending", "set_up")

MIGRATIONS: Final = [
    script(name) for name in ("store_0_items", "store_1_under", "store_2_life", "store_3_over")
]
"""LangGraph's steps, by their numbers."""

VECTOR_MIGRATIONS: Final = [
    script(name) for name in ("vector_0_extension", "vector_1_vectors", "vector_2_near")
]
"""LangGraph's steps for an index; in braces what ``VectorColumn`` says."""

_OURS: Final = ["dashflow_store_0_minutes"]
_OURS_FOR_VECTORS: Final = ["dashflow_vector_0_forget", "dashflow_vector_1_replaced"]


class Series(NamedTuple):
    """Steps, and the table that keeps the numbers of those that were done."""

    table: str
    steps: list[str]


class Layout(NamedTuple):
    """What a store wants of its database.

    Attributes:
        migrations: Steps for items.
        vector_migrations: Steps for vectors, with braces.
        column: Where vectors are; None: nowhere.
    """

    migrations: Sequence[str]
    vector_migrations: Sequence[str]
    column: VectorColumn | None

    def series(self) -> list[Series]:
        """All steps."""
        found = [
            Series("store_migrations", list(self.migrations)),
            Series("dashflow_store_migrations", [script(name) for name in _OURS]),
        ]
        if self.column is None:
            return found
        parts = self.column
        of_vectors = [
            step.format(
                type=parts.type,
                dims=parts.dims,
                kind=parts.kind,
                distance=parts.ops,
                parameters=parts.parameters,
            )
            for step in self.vector_migrations
        ]
        if parts.kind == "flat":
            of_vectors = of_vectors[
                :2
            ]  # no index; its number is not written down, should one be wanted later
        return [
            *found,
            Series("vector_migrations", of_vectors),
            Series("dashflow_vector_migrations", [script(name) for name in _OURS_FOR_VECTORS]),
        ]


async def pending(port: Port, layout: Layout) -> list[Statement]:
    """The statements that would bring a database to the layout; empty if it has it. Changes nothing.

    Raises:
        UsageError: The database cannot have it.
    """
    series = layout.series()
    there: dict[str, bool] = dict(
        (await port.run([Statement(queries()["tables"], {"names": [one.table for one in series]})]))[0]
    )
    known = [one for one in series if there[one.table]]
    found = await port.run([Statement(queries()["last_step"].format(table=one.table)) for one in known])
    last = {one.table: rows[0][0] for one, rows in zip(known, found, strict=True)}
    for one in series:
        if one.table.startswith("dashflow") and last.get(one.table, -1) >= len(one.steps):
            raise UsageError(
                f"The store's tables in {port.where} were made by a newer DashFlow (step "
                f"{last[one.table]} of {one.table}; this one knows {len(one.steps)} steps). Nothing was "
                "changed. Upgrade DashFlow to use them."
            )
    if layout.column is not None:
        await _check_vectors(port, layout.column)
    statements = []
    for one in series:
        first = last.get(one.table, -1) + 1
        if first < len(one.steps) and not there[one.table]:
            statements.append(Statement(queries()["make_series"].format(table=one.table)))
        for number in range(first, len(one.steps)):
            statements.append(Statement(one.steps[number]))
            statements.append(Statement(queries()["step_done"].format(table=one.table), {"number": number}))
    return statements


async def set_up(port: Port, layout: Layout) -> None:
    """Bring a database to the layout, all steps or none; nothing is written to one that has it.

    Raises:
        UsageError: The database cannot have it.
    """
    statements = await pending(port, layout)
    if statements:
        # Somebody else may have been faster: every step may be done again.
        await port.run([Statement(queries()["lock"]), *statements], pipelined=False)


async def _check_vectors(port: Port, column: VectorColumn) -> None:
    names = ("vector_column", "has_pgvector")
    ((found,),), ((extension,),) = await port.run([Statement(queries()[name]) for name in names])
    wanted = f"{column.type}({column.dims})"
    if found is None and not extension:
        raise UsageError(
            f"The server of {port.where} does not have the extension 'vector', which an index needs. Install "
            "pgvector on it (https://github.com/pgvector/pgvector), or make the store without 'index'."
        )
    if found not in (None, wanted):
        raise UsageError(
            f"The vectors in {port.where} are of type {found}, and the index asks for {wanted}. Set 'dims' "
            "and 'vector_type' as they were, or drop the table store_vectors and put the items again."
        )
