"""``dashflow doctor`` as click sees it; what it does is in ``doctoring``."""

from __future__ import annotations

import click

from dashflow.cli.options import common_options, settings_of


@click.command(short_help="Find out what is wrong with a log, and put it right.")
@click.option("--repair", is_flag=True, help="Put right what can be, with a copy of the log made first.")
@click.option(
    "--backed-up",
    "backed_up",
    is_flag=True,
    help="For a server: there is a backup of its database. Without it nothing is repaired there.",
)
@common_options
@click.pass_context
def doctor(context: click.Context, repair: bool, backed_up: bool) -> int:
    """Look at every row of the log and at every thread, and say what is wrong and what to do about it.

    Without --repair nothing is changed. With it a copy of the file is made first; threads that cannot be
    read to their end are taken back to their last good state, and what cannot be read is kept aside in the
    log. The exit code is 6 while something is wrong.

    \b
    dashflow doctor
    dashflow doctor --json
    dashflow doctor --repair
    """
    from dashflow.cli.doctoring import look_after

    return look_after(settings_of(context), repair=repair, backed_up=backed_up)
