"""What every command can be told: ``--db``, ``--json``, ``--debug``. Imports click only."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

DEFAULT_DB = ".dashflow/log.db"
DB_VARIABLE = "DASHFLOW_DB"
DEBUG_VARIABLE = "DASHFLOW_DEBUG"

C = TypeVar("C", bound=Callable[..., Any])


class Settings:
    """The options of this call, wherever on the line they stood; the rightmost one counts.

    Attributes:
        db_option: The file or address that ``--db`` named; None without it.
        json: Write JSON on standard output.
        debug: Show tracebacks.
    """

    def __init__(self) -> None:
        self.db_option: str | None = None
        self.json = False
        self.debug = os.environ.get(DEBUG_VARIABLE, "") not in ("", "0")

    @property
    def db(self) -> str:
        """The log's file: ``--db``, else the environment's, else the default."""
        return self.db_option or os.environ.get(DB_VARIABLE) or DEFAULT_DB

    @property
    def shown_db(self) -> str:
        """The same for people and files: a server's address without its password."""
        if "://" not in self.db:
            return self.db
        without = re.sub(r"(://[^/?#:@]*):[^/?#]*@", r"\1@", self.db)
        return re.sub(r"([?&])password=[^&]*&?", r"\1", without).rstrip("?&")


def settings_of(context: click.Context) -> Settings:
    """The settings that the command line's contexts share."""
    return context.ensure_object(Settings)


def _keep(name: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    def keep(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
        # The group's options are looked at before its command's, so what is not given must not reset.
        if value:
            setattr(settings_of(context), name, value)
        return value

    return keep


def common_options(command: C) -> C:
    """Add the options that every command has. They are kept in ``Settings``, not passed."""
    options = (
        click.option(
            "--db",
            metavar="FILE",
            type=click.Path(),
            expose_value=False,
            callback=_keep("db_option"),
            help=f"The event log. [default: {DEFAULT_DB}; env: {DB_VARIABLE}]",
        ),
        click.option(
            "--json",
            is_flag=True,
            expose_value=False,
            callback=_keep("json"),
            help="JSON on standard output; everything else on standard error.",
        ),
        click.option(
            "--debug",
            is_flag=True,
            expose_value=False,
            callback=_keep("debug"),
            help=f"Show tracebacks of errors. [env: {DEBUG_VARIABLE}=1]",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command
