"""``dashflow schema`` as click sees it; what its commands do is in ``schemas``, imported when one runs."""

from __future__ import annotations

import click

from dashflow.cli.completion import complete_graph_thread
from dashflow.cli.options import common_options, settings_of


@click.group("schema", short_help="A graph's state: its schema, and threads beside it.")
@common_options
def schema_group() -> None:
    """Show or infer the schema of a graph's state, and see which threads in flight fit it."""


@schema_group.command("show", short_help="Print a graph's JSON Schema.")
@click.argument("graph", metavar="MODULE:GRAPH")
@click.option(
    "--of",
    "part",
    type=click.Choice(("state", "input", "output", "context", "fingerprint")),
    default="state",
    show_default=True,
    help="Which schema; or the graph's shape, as runs record it.",
)
@common_options
@click.pass_context
def show_schema(context: click.Context, graph: str, part: str) -> int:
    """Print the JSON Schema of MODULE:GRAPH's state, or of another part of it."""
    from dashflow.cli.schemas import show

    return show(settings_of(context), graph, part)


@schema_group.command("infer", short_help="Propose a schema.")
@click.argument("graph", metavar="[MODULE:GRAPH]", required=False)
@click.option(
    "--samples",
    "paths",
    metavar="FILE",
    multiple=True,
    type=click.Path(),
    help="States as JSON, one to a line or a list of them; may be repeated.",
)
@click.option(
    "--thread",
    "threads",
    metavar="THREAD",
    multiple=True,
    shell_complete=complete_graph_thread,
    help="Learn from a thread of the log; may be repeated.",
)
@click.option("--name", metavar="NAME", default="State", show_default=True, help="Name of the type.")
@click.option("--python", "source", is_flag=True, help="As Python source instead of JSON Schema.")
@common_options
@click.pass_context
def infer_schema(
    context: click.Context,
    graph: str | None,
    paths: tuple[str, ...],
    threads: tuple[str, ...],
    name: str,
    source: bool,
) -> int:
    """Propose a schema: from what the nodes of MODULE:GRAPH say and do, from samples, or from threads.

    No node runs.

    \b
    dashflow schema infer my_app.agents:graph --python
    dashflow schema infer --samples states.jsonl
    dashflow schema infer --thread order-7 --thread order-8
    """
    if bool(graph) + bool(paths) + bool(threads) != 1:
        raise click.UsageError("Say what to learn from: MODULE:GRAPH, --samples, or --thread.", context)
    from dashflow.cli.schemas import infer

    return infer(settings_of(context), graph or "", paths, threads, name, source=source)


@schema_group.command("check", short_help="See which threads could go on with a graph.")
@click.argument("graph", metavar="MODULE:GRAPH")
@click.argument("threads", metavar="[THREAD]...", nargs=-1, shell_complete=complete_graph_thread)
@click.option("--all", "every", is_flag=True, help="All threads of the log, but those of other graphs.")
@common_options
@click.pass_context
def check_threads(context: click.Context, graph: str, threads: tuple[str, ...], every: bool) -> int:
    """A dry run of going on with threads: would MODULE:GRAPH take each, migrate it, or refuse it?

    Nothing is recorded and no node runs; functions of migrations do. The exit code is 4 if one is refused.
    """
    if bool(threads) + every != 1:
        raise click.UsageError("Say what to check: THREAD, or --all.", context)
    from dashflow.cli.schemas import check

    return check(settings_of(context), graph, None if every else threads)
