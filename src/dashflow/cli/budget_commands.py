"""``dashflow budget`` as click sees it; what it does is in ``budgets``."""

from __future__ import annotations

import click

from dashflow.cli.completion import complete_thread
from dashflow.cli.options import common_options, settings_of

amount = click.FloatRange(0)


@click.command("budget", short_help="Show or raise what a thread's run may use.")
@click.argument("thread", metavar="THREAD", shell_complete=complete_thread)
@click.option("--tokens", type=amount, help="Tokens of chat models, in all.")
@click.option("--money", type=amount, help="What those cost, in all.")
@click.option("--seconds", type=amount, help="Seconds at work, in all.")
@click.option("--steps", type=amount, help="Supersteps, in all.")
@click.option("--no-limit", multiple=True, metavar="WHAT", help="Take the limit of tokens, ... away.")
@common_options
@click.pass_context
def budget_command(
    context: click.Context,
    thread: str,
    tokens: float | None,
    money: float | None,
    seconds: float | None,
    steps: float | None,
    no_limit: tuple[str, ...],
) -> int:
    """Show what the last run of THREAD may use and has used; with options, change the limits.

    A run that waits since a limit was reached goes on when it is invoked again with None. THREAD is an id,
    the start of one, or `last`.

    \b
    dashflow budget research-7 --tokens 200000
    """
    from dashflow.cli.budgets import budget

    given = {"tokens": tokens, "money": money, "seconds": seconds, "steps": steps}
    limits: dict[str, float | None] = {name: limit for name, limit in given.items() if limit is not None}
    limits.update(dict.fromkeys(no_limit))
    return budget(settings_of(context), thread, limits)
