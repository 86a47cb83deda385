"""Where a log is: a server's address taken apart, and a form of it that may be shown to people.

Opens nothing. No error of this file repeats what it was given: a password may be anywhere in it.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import unquote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dashflow.errors import UsageError

DEFAULT_SCHEMA: Final = "dashflow"

_SCHEMA: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")

_DEFAULTS: Final = {
    "application_name": "dashflow",
    "connect_timeout": "10",
    # A server that is gone without a word is noticed within the time that an append is patient.
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "25000",
}


class Address:
    """A database and a schema in it.

    Attributes:
        conninfo: For libpq, with what was left to defaults.
        schema: The schema that the log has to itself.
        where: For messages: an URL without passwords.
    """

    def __init__(self, where: object, schema: str | None = None) -> None:
        """Take an address apart.

        Args:
            where: ``postgresql://user@host:port/database?schema=name``, libpq's ``key=value`` form, or
                an open connection or a pool of psycopg's, of which only the address is taken.
            schema: The schema's name; the one in the address counts more.

        Raises:
            UsageError: It is no address of PostgreSQL, or no name of a schema.
        """
        parameters, named = _taken_apart(where)
        self.schema = named or schema or DEFAULT_SCHEMA
        if not _SCHEMA.fullmatch(self.schema) or self.schema.startswith("pg_"):
            raise UsageError(
                f"{self.schema!r} cannot be a log's schema; use small letters, digits and '_', at most 63, "
                "not beginning with a digit or 'pg_'."
            )
        if "@" in str(parameters.get("host", "")):
            raise UsageError(
                "The address of the PostgreSQL server has more than one '@'. Write those of the password "
                "as %40, and '/', '?', '#', '%' as %2F, %3F, %23, %25."
            )
        self.where = _shown(parameters, self.schema)
        self.conninfo = make_conninfo("", **{**_DEFAULTS, **parameters})
        self.channel = f"dashflow:{self.schema}"[:63]


def _taken_apart(where: object) -> tuple[dict[str, Any], str]:
    """libpq's parameters, and the schema if the address names one."""
    named = ""
    if isinstance(where, psycopg.Connection | psycopg.AsyncConnection):
        info = where.info
        return {**info.get_parameters(), "password": info.password}, ""
    if not isinstance(where, str):
        # A pool; known by what it has, so that nobody needs psycopg_pool who has none.
        where, more = getattr(where, "conninfo", ""), dict(getattr(where, "kwargs", None) or {})
        parameters = _parsed(str(where))
        return {**parameters, **{key: more[key] for key in more if key in _LIBPQ}}, ""
    head, mark, query = where.partition("?")
    if mark and "://" in head:
        # The rest stays as it is: libpq reads it in its own way, a "+" as a plus for example.
        pairs = [pair.partition("=") for pair in query.split("&")]
        named = next((unquote(value) for key, _, value in pairs if key == "schema"), "")
        rest = "&".join("".join(pair) for pair in pairs if pair[0] != "schema")
        where = f"{head}?{rest}" if rest else head
    return _parsed(where), named


_LIBPQ: Final = frozenset({"host", "hostaddr", "port", "dbname", "user", "password", "sslmode"})


def _parsed(text: str) -> dict[str, Any]:
    try:
        return conninfo_to_dict(text)
    except psycopg.Error:
        # Neither the text nor libpq's words about it: both may hold the password.
        raise UsageError(
            "The address is not one of PostgreSQL. Write postgresql://user:password@host:port/database, with "
            "special characters of the password as %40 (@), %2F (/), %3F (?), %23 (#), %25 (%).",
            where="postgresql://...",
        ) from None


def _shown(parameters: dict[str, Any], schema: str) -> str:
    """The address without what nobody should see."""
    user, host = str(parameters.get("user", "")), str(parameters.get("host", ""))
    port = str(parameters.get("port", ""))
    folder = host.startswith("/")
    place = (user + "@" if user else "") + ("" if folder else host + (":" + port if port else ""))
    more = {"host": host} if folder else {}
    if folder and port:
        more["port"] = port
    if schema != DEFAULT_SCHEMA:
        more["schema"] = schema
    query = "?" + urlencode(more, safe="/") if more else ""
    return f"postgresql://{place}/{parameters.get('dbname', '')}{query}"
