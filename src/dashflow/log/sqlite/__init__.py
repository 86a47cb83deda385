"""The log in one SQLite file (WAL, ``synchronous=FULL``), shared by any number of processes."""

from dashflow.log.sqlite.log import SqliteLog

__all__ = ["SqliteLog"]
