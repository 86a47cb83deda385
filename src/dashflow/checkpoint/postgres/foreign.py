"""Warns when a database has threads of LangGraph's savers, which a log does not show. Changes nothing."""

from __future__ import annotations

import warnings
from contextlib import suppress

import psycopg

from dashflow.log.postgres import PostgresLog
from dashflow.log.postgres.address import Address
from dashflow.log.statements import parse, text_of

__all__ = ("warn_of_others_threads",)


def warn_of_others_threads(log: PostgresLog, where: object) -> None:
    """Warn if a log is empty and LangGraph's tables beside it are not: programs would find no thread.

    Args:
        log: The log, just opened.
        where: What it was opened with.
    """
    if log.read_all(limit=1):
        return
    queries = parse(text_of(__package__, "queries.sql"))
    with (
        suppress(psycopg.errors.InsufficientPrivilege),  # what may not be read is none of this program's
        psycopg.connect(Address(where).conninfo, autocommit=True, prepare_threshold=None) as connection,
    ):
        if all(
            connection.execute(queries[name]).fetchone() == (True,)
            for name in ("langgraphs_tables", "langgraphs_threads")
        ):
            warnings.warn(
                f"The database of {log.where} has threads that LangGraph's savers wrote, in its table "
                "'checkpoints'. They are left as they are, and not seen here. To go on with them, use "
                "LangGraph's saver: DashFlow's graphs take it, and `python -m dashflow.compat --keep "
                "langgraph.checkpoint.postgres` leaves it to programs.",
                UserWarning,
                stacklevel=2,
            )
