"""What ``budget`` does: tell what a thread's run may use and has used, and change that."""

from __future__ import annotations

from collections.abc import Mapping

from dashflow._util.drive import drive
from dashflow.checkpoint.thread import ThreadReader
from dashflow.cli.exits import Exit
from dashflow.cli.logfile import find_graph_thread, opened
from dashflow.cli.options import Settings
from dashflow.cli.output import Output
from dashflow.cli.views import SCHEMA, BudgetView
from dashflow.engine.budgets import budget_use, change_budget
from dashflow.hosts.sync import SyncHost
from dashflow.log.codec import Registry


def budget(settings: Settings, name: str, limits: Mapping[str, float | None]) -> int:
    """Change the limits that are given, and tell how the thread's run stands; the exit code.

    Raises:
        UnknownRunError: There is no such thread.
        RunStateError: It has no run.
        OwnershipConflictError: The run goes on at this moment, and was to be changed.
    """
    with opened(settings) as log:
        thread = find_graph_thread(log, name, settings.shown_db)
        reader = ThreadReader(log, Registry(), unknown="opaque")
        if limits:
            use = drive(change_budget(SyncHost(), reader, thread, limits))
        else:
            use = drive(budget_use(SyncHost(), reader, thread))
    Output(settings).show(BudgetView(SCHEMA, thread, use.limits, use.spent, use.waits_for))
    return Exit.DONE
