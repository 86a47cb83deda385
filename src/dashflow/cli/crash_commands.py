"""``dashflow crashpoints`` as click sees it; what it does is in ``dashflow.testing.crashpoints``."""

from __future__ import annotations

import json
from typing import Any

import click

from dashflow.cli.options import common_options, settings_of
from dashflow.errors import UsageError


@click.command(short_help="Crash a graph at every commit, and show what that repeats or loses.")
@click.argument("graph", metavar="MODULE:GRAPH")
@click.option("--input", "given", metavar="JSON", default="{}", help="The input.  [default: {}]")
@click.option(
    "--answer",
    metavar="JSON",
    help="The answer to all that the graph asks; without it a question is the end.",
)
@click.option(
    "--durability",
    type=click.Choice(["sync", "async", "exit"]),
    default="async",
    show_default=True,
    help="Of the runs.",
)
@click.option(
    "--point",
    "points",
    metavar="NAME",
    multiple=True,
    help="Crash at this chaos point, too; may be repeated.",
)
@common_options
@click.pass_context
def crashpoints(
    context: click.Context,
    graph: str,
    given: str,
    answer: str | None,
    durability: str,
    points: tuple[str, ...],
) -> int:
    """Run MODULE:GRAPH with a crash before and after every commit, finish it each time as a worker would, and
    compare with the run that nothing happened to.

    The nodes run, many times: let them do no harm. The runs are kept in memory only. The exit code is 4 if
    something was lost.

    \b
    dashflow crashpoints my_app.agents:graph --input '{"n": 1}'
    dashflow crashpoints my_app.agents:graph --input '{"n": 1}' --point node.after --json
    """
    from dashflow.cli.crashing import crash

    asked = None if answer is None else _json("--answer", answer)
    return crash(
        settings_of(context),
        graph,
        _json("--input", given),
        answer=None if answer is None else lambda _: asked,
        durability=durability,
        points=points,
    )


def _json(option: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageError(f"{option} is no JSON: {error}.") from error
