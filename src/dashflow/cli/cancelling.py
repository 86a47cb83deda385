"""What ``cancel`` does: end a plan's run, or the run of a graph's thread."""

from __future__ import annotations

from dashflow._util.drive import drive
from dashflow.checkpoint.thread import ThreadReader
from dashflow.cli.exits import Exit
from dashflow.cli.logfile import find_thread, opened
from dashflow.cli.options import Settings
from dashflow.cli.output import Output
from dashflow.cli.views import SCHEMA, CancelView, command_line
from dashflow.engine.cancel import Cancelling
from dashflow.hosts.sync import SyncHost
from dashflow.log.base import EventLog
from dashflow.log.codec import Registry


def cancel(settings: Settings, name: str, reason: str, wait: float) -> int:
    """End a run for good; the exit code.

    Raises:
        UnknownRunError: There is none of that name.
    """
    with opened(settings) as log:
        found, is_plan = find_thread(log, name, settings.shown_db)
        if not is_plan:
            return _thread(settings, log, found, reason, wait)
    from dashflow.cli.working import cancel_run  # the planner is large

    return cancel_run(settings, found, reason)


def _thread(settings: Settings, log: EventLog, thread: str, reason: str, wait: float) -> int:
    reader = ThreadReader(log, Registry(), unknown="opaque")
    told = drive(Cancelling(SyncHost(), reader, thread, reason=reason).ask(wait))
    output = Output(settings)
    output.show(CancelView(SCHEMA, told.thread, told.run, told.status, told.reason))
    if told.status == "cancelling" and not settings.json:
        output.say(f"Its work has not stopped yet: {command_line(settings, 'cancel', thread)} --wait 10")
    return Exit.DONE
