"""What ``log migrate`` and ``log compact`` do: the tables and the space of a log, not its events."""

from __future__ import annotations

import os
import re

from dashflow.cli.exits import Exit
from dashflow.cli.moving_views import CompactView, MigrateView, MigrationView
from dashflow.cli.options import Settings
from dashflow.cli.output import Output
from dashflow.cli.views import SCHEMA
from dashflow.errors import UsageError
from dashflow.log.base import LOG_FORMAT
from dashflow.log.open import open_log

_MEMORY = re.compile(r"memory://.*|:memory:")


def migrate_log(settings: Settings, *, dry_run: bool) -> int:
    """Bring the log's tables to the present format, or tell what that would do.

    Raises:
        UsageError: There is no log that keeps anything.
    """
    steps = _planned(settings)
    if steps and not dry_run:
        open_log(settings.db).close()
    Output(settings).show(MigrateView(SCHEMA, settings.shown_db, LOG_FORMAT, dry_run, steps))
    return Exit.DONE


def _planned(settings: Settings) -> tuple[MigrationView, ...]:
    _check_kept(settings)
    if _is_postgres(settings.db):
        from dashflow.log.postgres import migrate

        return tuple(MigrationView(m.number, m.name, m.sql) for m in migrate(settings.db, dry_run=True))
    from dashflow.log.sqlite.upgrade import planned

    upgrade = planned(os.path.expanduser(settings.db))
    return tuple(
        MigrationView(step.format, step.why, ";\n".join([*step.statements, ""])) for step in upgrade.steps
    )


def compact_log(settings: Settings) -> int:
    """Give free space of the log's file back to the disk.

    Raises:
        UsageError: The log is no file.
    """
    _check_kept(settings)
    if _is_postgres(settings.db):
        raise UsageError(
            "A PostgreSQL server reuses free space by itself (autovacuum); to give it back to the disk, run "
            "VACUUM FULL on the tables there.",
            where=settings.shown_db,
        )
    from dashflow.log.sqlite.compact import compact

    done = compact(os.path.expanduser(settings.db))
    Output(settings).show(CompactView(SCHEMA, settings.shown_db, done.before, done.after, done.cut))
    return Exit.DONE


def _is_postgres(db: str) -> bool:
    return db.startswith(("postgresql://", "postgres://"))


def _check_kept(settings: Settings) -> None:
    if _MEMORY.fullmatch(settings.db):
        raise UsageError(
            "A log in memory has no tables on a disk. Name another with --db.", where=settings.db
        )
    if "://" not in settings.db and not os.path.lexists(os.path.expanduser(settings.db)):
        raise UsageError(f"There is no log at {settings.db!r}. Name another with --db.", where=settings.db)
