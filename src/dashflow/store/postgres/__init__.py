"""Stores in PostgreSQL: ``PostgresStore``, and ``AsyncPostgresStore`` for asyncio."""

import dashflow._util.postgres  # noqa: F401  # says what to install
from dashflow.store.postgres.aio import AsyncPostgresStore
from dashflow.store.postgres.base import PoolConfig, PostgresStore

__all__ = ("AsyncPostgresStore", "PoolConfig", "PostgresStore")
