"""``dashflow replay`` as click sees it; what it does is in ``replaying``."""

from __future__ import annotations

import click

from dashflow.cli.completion import complete_graph_thread
from dashflow.cli.options import common_options, settings_of


@click.command(short_help="Compare recorded threads with a graph as it is now.")
@click.argument("graph", metavar="MODULE:GRAPH")
@click.argument("threads", metavar="[THREAD]...", nargs=-1, shell_complete=complete_graph_thread)
@click.option("--all", "every", is_flag=True, help="All threads of the log, but those of other graphs.")
@click.option(
    "--check",
    "paths",
    metavar="PATH",
    multiple=True,
    type=click.Path(),
    help="Threads in an export, or in a folder of exports, instead of the log's; may be repeated.",
)
@click.option("--run", "run", is_flag=True, help="Also run nodes and conditional edges again.")
@click.option("--node", "nodes", metavar="NAME", multiple=True, help="Run only this node; may be repeated.")
@click.option("--routes", is_flag=True, help="Also ask conditional edges again.")
@common_options
@click.pass_context
def replay(
    context: click.Context,
    graph: str,
    threads: tuple[str, ...],
    every: bool,
    paths: tuple[str, ...],
    run: bool,
    nodes: tuple[str, ...],
    routes: bool,
) -> int:
    """Follow what was recorded of each THREAD with MODULE:GRAPH, and show the first place where it differs.

    Nothing is recorded. Without --run, --node and --routes no node and no conditional edge is called; with
    them, those that are come to run again on what was recorded: they must do no harm then. The exit code is
    4 if a thread diverged. THREAD is an id, the start of one, or `last`.

    \b
    dashflow replay my_app.agents:graph last
    dashflow replay my_app.agents:graph --all --run
    dashflow log export --thread 42 -o tests/histories/42.jsonl
    dashflow replay my_app.agents:graph --check tests/histories
    """
    if bool(threads) + every + bool(paths) != 1:
        raise click.UsageError("Say what to replay: THREAD, --all, or --check PATH.", context)
    from dashflow.cli.replaying import replay_threads

    return replay_threads(
        settings_of(context), graph, None if every else threads, paths, run=nodes or run, routes=routes
    )
