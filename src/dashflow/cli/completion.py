"""Shell completion: the scripts, and run ids out of the log. Never fails and never creates a log.

Whatever goes wrong while Tab is pressed, the answer is "nothing": an error would land in the line that
is being typed.
"""

from __future__ import annotations

import os
from typing import Any

import click
from click.shell_completion import CompletionItem, ShellComplete, get_completion_class

from dashflow.cli.options import settings_of

PROGRAM = "dashflow"
VARIABLE = "_DASHFLOW_COMPLETE"

_MOST = 50


def script(shell: str) -> str:
    """The completion script of a shell that click knows."""
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"No completion for {shell!r}.")
    # Not kind.source(): for bash that starts a bash only to look at its version.
    return ShellComplete.source(kind(click.Group(), {}, PROGRAM, VARIABLE))


def complete_run(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Ids of runs that start with ``incomplete``, the newest in front, with their goals as help."""
    return _ids(context, incomplete, threads=False)


def complete_thread(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """As ``complete_run``, with graph threads."""
    return _ids(context, incomplete, threads=True)


def complete_graph_thread(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Ids of graph threads only."""
    return _ids(context, incomplete, threads=True, plans=False)


def complete_batch(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Names of batches that start with ``incomplete``, the newest in front."""
    return _names(context, incomplete, "batch")


def complete_approval(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Ids of approvals that start with ``incomplete``, the newest in front."""
    return _names(context, incomplete, "approval")


def _names(context: click.Context, incomplete: str, category: str) -> list[CompletionItem]:
    """What streams of a category are called."""
    settings = settings_of(context)
    if not os.path.isfile(settings.db):
        return []
    try:
        from dashflow.cli.logfile import newest_first, opened

        with opened(settings) as log:
            infos = newest_first(log.streams(category=category))
        names = [info.stream.removeprefix(f"{category}-") for info in infos]
    except Exception:
        return []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)][:_MOST]


def _ids(
    context: click.Context, incomplete: str, *, threads: bool, plans: bool = True
) -> list[CompletionItem]:
    settings = settings_of(context)
    if not os.path.isfile(settings.db):
        return []
    try:
        from dashflow.cli.logfile import LAST, PLANS, THREADS, newest_first, opened

        with opened(settings) as log:
            infos = newest_first(log.streams(category=PLANS)) if plans else []
            if threads:
                infos += newest_first(log.streams(category=THREADS))
            names = [info.stream.removeprefix(f"{info.category}-") for info in infos]
            found = [name for name in names if name.startswith(incomplete)][:_MOST]
            goals = {name: _goal(log.read(f"{PLANS}-{name}", limit=1)) for name in found}
            items = [CompletionItem(name, help=goals[name]) for name in found]
    except Exception:
        return []
    if names and LAST.startswith(incomplete):
        items.insert(0, CompletionItem(LAST, help="the newest"))
    return items


def _goal(records: list[Any]) -> str:
    """What the run is for, as far as it fits beside its id."""
    from dashflow.cli.streams import clean
    from dashflow.planner.core.codec import decode
    from dashflow.planner.core.events import PlanRequested

    event = decode(records[0]) if records else None
    goal = " ".join(event.goal.split()) if isinstance(event, PlanRequested) else ""
    return clean(goal[:60])
