"""Stores in SQLite files: ``SqliteStore``, and ``AsyncSqliteStore`` for asyncio."""

from dashflow.store.sqlite.aio import AsyncSqliteStore
from dashflow.store.sqlite.base import SqliteStore

__all__ = ("AsyncSqliteStore", "SqliteStore")
