"""Savers in PostgreSQL databases, for asyncio programs."""

from dashflow.checkpoint.postgres.async_saver import AsyncPostgresSaver, Conn
from dashflow.checkpoint.postgres.shallow import AsyncShallowPostgresSaver

__all__ = ("AsyncPostgresSaver", "AsyncShallowPostgresSaver", "Conn")

AsyncPostgresSaver.__module__ = __name__
