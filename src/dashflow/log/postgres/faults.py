"""What PostgreSQL's errors mean to the owner of a log. Decides nothing else and asks no server.

Messages of the server and of libpq name hosts, users and databases, never a password.
"""

from __future__ import annotations

from typing import Final

import psycopg

from dashflow.errors import CorruptLogError, LogError, StorageUnavailableError

_PROBLEMS: Final = {
    "53100": "the server's disk is full; make room",
    "53200": "the server has no memory left",
    "53300": "the server has too many connections; raise max_connections or use a pooler",
    "42501": "this user may not do that; grant it the rights on the log's schema",
    "25006": "the server is read-only (a standby?); name the one that can be written",
    "28P01": "the server refused the user or the password",
    "28000": "the server refused this user",
    "3D000": "there is no such database; create it",
    "57014": "the server cancelled the statement (statement_timeout?)",
    "58030": "the server cannot read or write its files; look at its disk",
}

_DAMAGE: Final = frozenset({"XX001", "XX002"})
"""The server says of itself that its files are not what it wrote."""

_PASSING: Final = frozenset(
    {
        "57P01",  # the server is shut down, or somebody has ended the connection
        "57P02",  # it crashed
        "57P03",  # it is starting
        "57P05",  # the connection was idle for too long
        "53300",  # too many connections
        "40001",  # serialization failure
        "40P01",  # deadlock
        "25P03",  # idle in transaction for too long
    }
)

_STARTING: Final = ("starting up", "shutting down", "recovery mode", "not yet accepting", "too many")
"""What a server says to a new connection that may well be let in soon."""

_TURN: Final = "55P03"
"""The lock that appends take turns with was not to be had in time."""


def is_passing(error: psycopg.Error) -> bool:
    """Whether the same again can help: the server is away, restarting or too busy just now."""
    state = error.sqlstate
    if state is None:
        # libpq's own: the connection is lost, there is no server to connect to, or it lets us not in.
        return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and not _refused(error)
    return state in _PASSING or state.startswith("08")


def is_starting(error: psycopg.Error) -> bool:
    """Whether there is a server at the address that will let us in soon."""
    return any(words in str(error) for words in _STARTING)


def _refused(error: psycopg.Error) -> bool:
    """Whether the server itself has turned a new connection away for good; libpq tells no code of that."""
    return "FATAL:" in str(error) and not is_starting(error)


def is_unfit(error: psycopg.Error) -> bool:
    """Whether what was sent holds something that the tables do not take."""
    return isinstance(error, psycopg.DataError | psycopg.IntegrityError) or error.sqlstate == "54000"


def fault(where: str, error: psycopg.Error, patience: float = 0.0) -> LogError:
    """The error to raise for what the server, or the way to it, reported."""
    said = " ".join(str(error).split()) or type(error).__name__
    state = error.sqlstate
    if state in _DAMAGE:
        return CorruptLogError(where, f"PostgreSQL: {said} [{state}]")
    if state == _TURN:
        problem = (
            f"another append has kept it locked for {patience:g} s; see which transaction is open on the "
            "server (pg_stat_activity)"
        )
    else:
        problem = _PROBLEMS.get(state or "", "")
    if state is None and _refused(error):
        problem = "the server refuses to let us in; look at user, password and database"
    elif not problem and is_passing(error):
        problem = "the server cannot be reached"
        if patience:
            problem += f", tried for {patience:g} s"
    detail = f"PostgreSQL: {said}" + (f" [{state}]" if state else "")
    return StorageUnavailableError(where, f"{problem} ({detail})" if problem else detail)
