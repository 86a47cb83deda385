"""``dashflow breakpoint`` as click sees it; what its commands do is in ``breakpoints``."""

from __future__ import annotations

import click

from dashflow.cli.completion import complete_thread
from dashflow.cli.options import common_options, settings_of

thread_argument = click.argument("thread", metavar="THREAD", shell_complete=complete_thread)
side = click.Choice(("before", "after"))


@click.group("breakpoint", short_help="Stop a thread's runs at a node.")
@common_options
def breakpoint_group() -> None:
    """Set, list and clear breakpoints on a graph's thread, also while it runs.

    A run that reaches one stops as if the graph had been compiled with it, and goes on when it is
    invoked again with None. One that is going on sees the change before one of its next steps.
    THREAD is an id, the start of one, or `last`.
    """


@breakpoint_group.command("set", short_help="Set a breakpoint.")
@thread_argument
@click.argument("node", metavar="NODE")
@click.option("--at", type=side, default="before", show_default=True, help="On which side of the node.")
@click.option("--when", metavar="CONDITION", default="", help="Only when the state is like that.")
@common_options
@click.pass_context
def set_breakpoint(context: click.Context, thread: str, node: str, at: str, when: str) -> int:
    """Let the runs of THREAD stop at NODE.

    NODE is a node's name, `*` for all, or `outer|inner` for one in a graph inside a node.

    \b
    dashflow breakpoint set orders-7 pay --when "amount > 100 and status == 'open'"
    """
    from dashflow.cli.breakpoints import set_one

    return set_one(settings_of(context), thread, node, at, when)


@breakpoint_group.command("list", short_help="List a thread's breakpoints.")
@thread_argument
@common_options
@click.pass_context
def list_breakpoints(context: click.Context, thread: str) -> int:
    """List what was set on THREAD and holds; breakpoints in the graph's code are not known here."""
    from dashflow.cli.breakpoints import list_all

    return list_all(settings_of(context), thread)


@breakpoint_group.command("clear", short_help="Clear breakpoints.")
@thread_argument
@click.argument("node", metavar="[NODE]", required=False)
@click.option("--at", type=side, help="Only on this side of the node. [default: both]")
@common_options
@click.pass_context
def clear_breakpoints(context: click.Context, thread: str, node: str | None, at: str | None) -> int:
    """Clear the breakpoints of THREAD: those at NODE, or all."""
    from dashflow.cli.breakpoints import clear_some

    return clear_some(settings_of(context), thread, node, at)
