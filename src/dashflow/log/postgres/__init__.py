"""The log in a PostgreSQL database, shared by any number of processes on any number of machines."""

from dashflow.log.postgres.log import PostgresLog
from dashflow.log.postgres.schema import Migration, migrate

__all__ = ["Migration", "PostgresLog", "migrate"]
