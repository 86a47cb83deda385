"""What the flows of the stores need of a database: statements are run, all or none. No connections here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from psycopg import errors

from dashflow.store.postgres.batch import Batch
from dashflow.store.postgres.statements import Rows, Statement

__all__ = ("Port", "carry_out")

_TRIES: Final = 5


class Port(Protocol):
    """Runs statements.

    Attributes:
        where: The database, for messages; without a password.
    """

    where: str

    async def run(self, statements: Sequence[Statement], *, pipelined: bool = True) -> list[Rows]:
        """Run statements in one transaction.

        Args:
            statements: The statements.
            pipelined: Whether they may be sent all at once.

        Returns:
            The rows of each.

        Raises:
            StorageUnavailableError: The server is away.
            UsageError: The tables are not there, or the connection is in a transaction of the program.
        """
        ...


async def carry_out(port: Port, batch: Batch) -> None:
    """Run a batch to its end; the next round is another transaction, and only reads."""
    while statements := batch.statements:
        batch.take(await _patiently(port, statements))


async def _patiently(port: Port, statements: Sequence[Statement]) -> list[Rows]:
    """Run statements again when they and somebody else's waited for each other: nothing was done then."""
    for _ in range(_TRIES - 1):
        try:
            return await port.run(statements)
        except (errors.DeadlockDetected, errors.SerializationFailure):
            continue
    return await port.run(statements)
