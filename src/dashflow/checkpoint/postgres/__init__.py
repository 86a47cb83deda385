"""Savers in PostgreSQL databases, for many machines. Those for asyncio are in ``aio``."""

import dashflow._util.postgres  # noqa: F401  # says what to install
from dashflow.checkpoint.postgres.base import BasePostgresSaver
from dashflow.checkpoint.postgres.saver import Conn, PostgresSaver
from dashflow.checkpoint.postgres.shallow import ShallowPostgresSaver

__all__ = ("BasePostgresSaver", "Conn", "PostgresSaver", "ShallowPostgresSaver")

# Pickles and error messages name the public module.
PostgresSaver.__module__ = __name__
