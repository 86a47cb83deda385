"""Budgets of threads from outside: what was used, and other limits. Runs nothing."""

from __future__ import annotations

from collections.abc import Mapping

from dashflow.checkpoint.events import to_new
from dashflow.checkpoint.thread import ThreadReader, stream_of
from dashflow.core.events import BudgetChanged
from dashflow.engine.ports import Host
from dashflow.errors import RunStateError
from dashflow.log.base import Append
from dashflow.log.ids import EventIds
from dashflow.types.budget import BudgetUse, check_limits


async def budget_use(host: Host, reader: ThreadReader, thread: str) -> BudgetUse:
    """How much of its budget the thread's last run has used."""
    state = await host.read(lambda: reader.head(thread))
    return BudgetUse(state.budget, state.spent, str(state.exceeded.get("limit", "")))


async def change_budget(
    host: Host, reader: ThreadReader, thread: str, limits: Mapping[str, float | None]
) -> BudgetUse:
    """Give a thread's run other limits, while it does not run.

    Raises:
        UsageError: What is named cannot be limited so.
        RunStateError: The thread has no run.
        OwnershipConflictError: The run goes on at this moment.
        VersionConflictError: Somebody did something with the thread at the same moment.
    """
    check_limits({name: 0 if limit is None else limit for name, limit in limits.items()})
    state = await host.read(lambda: reader.head(thread))
    if not state.run:
        raise RunStateError(thread, state.status, "given another budget; it has no run")
    now = host.now()
    event = to_new(BudgetChanged(dict(limits)), EventIds(host.entropy(), now).next(), now, state.run, b"", "")
    await host.append(reader.lines, Append(stream_of(thread), (event,), state.version, unowned=True))
    return await budget_use(host, reader, thread)
