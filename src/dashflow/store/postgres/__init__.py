"""Stores in PostgreSQL: ``PostgresStore``, and ``AsyncPostgresStore`` for asyncio."""

from dashflow.store.postgres.aio import AsyncPostgresStore
from dashflow.store.postgres.base import PoolConfig, PostgresStore

__all__ = ("AsyncPostgresStore", "PoolConfig", "PostgresStore")
