"""Savers in PostgreSQL databases, for many machines. Those for asyncio are in ``aio``."""

from dashflow.checkpoint.postgres.base import BasePostgresSaver
from dashflow.checkpoint.postgres.saver import Conn, PostgresSaver
from dashflow.checkpoint.postgres.shallow import ShallowPostgresSaver

__all__ = ("BasePostgresSaver", "Conn", "PostgresSaver", "ShallowPostgresSaver")

# Pickles and error messages name the public module.
PostgresSaver.__module__ = __name__
