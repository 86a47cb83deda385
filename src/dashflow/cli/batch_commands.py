"""``dashflow batch`` as click sees it; what its commands do is in ``batches``, imported when one runs."""

from __future__ import annotations

import click

from dashflow.cli.completion import complete_batch
from dashflow.cli.options import common_options, settings_of

batch_argument = click.argument("name", metavar="NAME", shell_complete=complete_batch)


@click.group("batch", short_help="Work off many items, durably.")
@common_options
def batch_group() -> None:
    """Work off many items with a graph or with the planner.

    Items, results and failures are in the log: a batch that was stopped or killed goes on where it was.
    """


@batch_group.command("run", short_help="Start a batch, or go on with it.")
@click.argument("target", metavar="MODULE:GRAPH")
@click.option(
    "--input", "source", metavar="FILE", required=True, type=click.Path(), help="The items, one to a line."
)
@click.option("--name", metavar="NAME", required=True, help="Names the batch in the log.")
@click.option(
    "--key", metavar="FIELD", default="", help="The field that is an item's key. [default: its place, from 0]"
)
@click.option(
    "--priority", metavar="FIELD", default="", help="The field that is an item's priority; higher first."
)
@click.option("--concurrency", metavar="N", type=click.IntRange(1, 10_000), default=8, show_default=True,
              help="How many items run at a time.")  # fmt: skip
@click.option("--rate", metavar="RATE", help="How many may begin in a time, such as 10/s or 100/min.")
@click.option("--timeout", metavar="SECONDS", type=click.FloatRange(0, min_open=True),
              help="How long an attempt may take.")  # fmt: skip
@click.option("--attempts", metavar="N", type=click.IntRange(1), default=1, show_default=True,
              help="Attempts in all for an item whose error may pass by itself.")  # fmt: skip
@click.option("--on-error", type=click.Choice(("continue", "stop")), default="continue", show_default=True,
              help="What to do when an item fails.")  # fmt: skip
@click.option("--failure-threshold", "threshold", metavar="N|SHARE",
              help="Stop when more than so many items, or such a share (0.1, 10%), failed.")  # fmt: skip
@common_options
@click.pass_context
def run_batch(
    context: click.Context,
    target: str,
    source: str,
    name: str,
    key: str,
    priority: str,
    concurrency: int,
    rate: str | None,
    timeout: float | None,
    attempts: int,
    on_error: str,
    threshold: str | None,
) -> int:
    """Run every line of a file through a graph.

    MODULE:GRAPH is a compiled graph of a Python module, or of a file: `agents.py:graph`; or `plan`, and the
    items are goals for the planner. Lines of a .jsonl or .ndjson file are JSON, those of another file are
    text. A graph without a checkpointer gets one on the log, so that an item that was cut off goes on inside.
    To run the same again is to go on.

    \b
    dashflow batch run agents.py:graph --input items.jsonl --name invoices --rate 10/s
    dashflow batch run plan --input goals.txt --name audits --concurrency 2
    """
    from dashflow.cli.batches import Wanted, start

    wanted = Wanted(
        target=target,
        source=source,
        name=name,
        key=key,
        priority=priority,
        concurrency=concurrency,
        rate=rate,
        timeout=timeout,
        attempts=attempts,
        on_error=on_error,
        threshold=threshold,
    )
    return start(settings_of(context), wanted)


@batch_group.command("status", short_help="Show a batch, or list all.")
@click.argument("name", metavar="[NAME]", required=False, shell_complete=complete_batch)
@common_options
@click.pass_context
def batch_status(context: click.Context, name: str | None) -> int:
    """Show how a batch stands; without NAME, list the batches of the log."""
    from dashflow.cli.batches import list_all, show_one

    settings = settings_of(context)
    return list_all(settings) if name is None else show_one(settings, name)


@batch_group.command("resume", short_help="Go on with a batch.")
@batch_argument
@click.option("--target", metavar="MODULE:GRAPH", help="Another place of the graph. [default: as recorded]")
@click.option("--input", "source", metavar="FILE", type=click.Path(),
              help="Another place of the items. [default: as recorded]")  # fmt: skip
@common_options
@click.pass_context
def resume_batch(context: click.Context, name: str, target: str | None, source: str | None) -> int:
    """Go on with a batch that was stopped, paused or killed, with the settings that it was started with."""
    from dashflow.cli.batches import resume

    return resume(settings_of(context), name, target, source)


@batch_group.command("retry", short_help="Requeue what failed.")
@batch_argument
@click.argument("keys", metavar="[KEY]...", nargs=-1)
@click.option("--resume", "go_on", is_flag=True, help="Go on with the batch at once.")
@common_options
@click.pass_context
def retry_batch(context: click.Context, name: str, keys: tuple[str, ...], go_on: bool) -> int:
    """Give items that failed new attempts: those with these keys, or all.

    The batch goes on with --resume, or later with `dashflow batch resume NAME`.
    """
    from dashflow.cli.batches import retry

    return retry(settings_of(context), name, keys, go_on=go_on)


@batch_group.command("results", short_help="Print results, or what failed.")
@batch_argument
@click.option("--failed", is_flag=True, help="Print the items that failed, with their errors.")
@click.option("--format", "form", type=click.Choice(("jsonl", "json")), default="jsonl", show_default=True,
              help="JSON lines, or one JSON array.")  # fmt: skip
@common_options
@click.pass_context
def batch_results(context: click.Context, name: str, failed: bool, form: str) -> int:
    """Print the results of a batch so far, in the order of its items."""
    from dashflow.cli.batches import print_results

    return print_results(settings_of(context), name, form, failed=failed)


@batch_group.command("pause", short_help="Let no further item begin.")
@batch_argument
@click.option("--reason", metavar="TEXT", default="", help="Why, for the log.")
@common_options
@click.pass_context
def pause_batch(context: click.Context, name: str, reason: str) -> int:
    """Let no further item of a batch begin, also while another process works on it."""
    from dashflow.cli.batches import pause

    return pause(settings_of(context), name, reason)


@batch_group.command("cancel", short_help="End a batch for good.")
@batch_argument
@click.option("--reason", metavar="TEXT", default="", help="Why, for the log.")
@common_options
@click.pass_context
def cancel_batch(context: click.Context, name: str, reason: str) -> int:
    """End a batch for good, also while another process works on it; its results stay."""
    from dashflow.cli.batches import cancel

    return cancel(settings_of(context), name, reason)
