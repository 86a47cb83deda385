"""What ``doctor`` does: ask the doctor, and tell what was found and done."""

from __future__ import annotations

from dashflow.cli.doctor_views import DoctorView
from dashflow.cli.exits import Exit
from dashflow.cli.options import Settings
from dashflow.cli.output import Output
from dashflow.cli.views import SCHEMA
from dashflow.doctor import examine, repair


def look_after(settings: Settings, *, repair: bool, backed_up: bool) -> int:
    """Look at the log, and repair it if that is wanted; the exit code.

    Raises:
        UsageError: There is no log, or no backup.
        LogError: It cannot be looked at, or somebody is at work on it.
    """
    done: list[str] = []
    copy = ""
    if repair:
        repaired = _repair(settings.db, backed_up=backed_up)
        found, done, copy = repaired.after, repaired.done, repaired.backup
    else:
        found = examine(settings.db)
    code = Exit.DONE if found.sound else Exit.LOG
    Output(settings).show(
        DoctorView(
            SCHEMA,
            settings.shown_db,
            found.sound,
            found.streams,
            found.events,
            tuple(found.findings),
            tuple(done),
            copy,
            code,
        )
    )
    return code


_repair = repair
