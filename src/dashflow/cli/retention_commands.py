"""``dashflow prune`` and ``dashflow delete`` as click sees them; what they do is in ``retention``."""

from __future__ import annotations

import re

import click

from dashflow.cli.completion import complete_thread
from dashflow.cli.options import common_options, settings_of

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class Age(click.ParamType):  # type: ignore[type-arg]  # generic in some versions of click only
    """A number of seconds, or of another unit by its letter: 90s, 15m, 12h, 30d, 8w."""

    name = "age"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """See click."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw]?)", str(value).strip().lower())
        if match is None:
            self.fail(f"{value!r} is no age; write 90s, 15m, 12h, 30d or 8w.", param, ctx)
        return float(match[1]) * _UNITS[match[2] or "s"]


@click.command(short_help="Drop old checkpoints of graphs' threads.")
@click.argument("threads", metavar="[THREAD]...", nargs=-1, shell_complete=complete_thread)
@click.option("--keep", metavar="N", type=click.IntRange(1), help="How many checkpoints a thread keeps.")
@click.option("--older-than", "age", metavar="AGE", type=Age(), help="Drop older ones: 12h, 30d, 8w.")
@click.option("--dry-run", is_flag=True, help="Only say what would be dropped.")
@common_options
@click.pass_context
def prune(
    context: click.Context, threads: tuple[str, ...], keep: int | None, age: float | None, dry_run: bool
) -> int:
    """Drop old checkpoints of the graph threads THREAD, or of all.

    The newest checkpoint of a thread always stays, with what is asked and pending at it. A thread that
    runs at this moment is left alone, and said so.
    """
    if keep is None and age is None:
        raise click.UsageError("Say what to keep: --keep N, --older-than AGE, or both.", context)
    from dashflow.cli.retention import prune_threads

    return prune_threads(settings_of(context), threads, keep, age, dry_run=dry_run)


@click.command(short_help="Delete graphs' threads for good.")
@click.argument("threads", metavar="THREAD...", nargs=-1, required=True, shell_complete=complete_thread)
@click.option("--yes", is_flag=True, help="Do not ask.")
@common_options
@click.pass_context
def delete(context: click.Context, threads: tuple[str, ...], yes: bool) -> int:
    """Delete the graph threads THREAD for good: everything that was recorded of them leaves the log.

    A run that is going on is cut off. What a backup or an export has is not touched. THREAD is a whole id.
    """
    from dashflow.cli.retention import delete_threads

    return delete_threads(settings_of(context), threads, sure=yes)
