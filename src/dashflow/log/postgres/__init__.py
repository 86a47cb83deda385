"""The log in a PostgreSQL database, shared by any number of processes on any number of machines."""

import dashflow._util.postgres  # noqa: F401  # says what to install
from dashflow.log.postgres.log import PostgresLog
from dashflow.log.postgres.schema import Migration, migrate

__all__ = ["Migration", "PostgresLog", "migrate"]
