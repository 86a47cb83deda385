"""``dashflow approvals`` as click sees it; what its commands do is in ``approvals``, imported when needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from dashflow.cli.completion import complete_approval
from dashflow.cli.options import common_options, settings_of

STATUSES = ("open", "approved", "rejected", "expired", "cancelled", "all")

approval_argument = click.argument("approval", metavar="ID", shell_complete=complete_approval)
person_option = click.option("--as", "person", metavar="NAME", required=True, help="Who you are.")
answer_option = click.option(
    "--answer-id", "answer", metavar="ID", default="", help="Names this answer: given twice, it counts once."
)


def _comment_option(words: str) -> Callable[[Any], Any]:
    return click.option("--comment", metavar="TEXT", default="", help=words)


@click.group("approvals", short_help="What waits for somebody's approval: list, show, decide.")
@common_options
def approvals_group() -> None:
    """See what waits for approval, and decide.

    A vote is on what was shown: it names the hash that `show` tells. What changed meanwhile is not approved
    by it. ID is an approval's id, or the start of one.

    \b
    dashflow approvals list --as ann
    dashflow approvals show ID
    dashflow approvals approve ID --as ann --hash HASH
    """


@approvals_group.command("list", short_help="List what waits: for you, or for anybody.")
@click.option("--as", "person", metavar="NAME", help="Only what waits for this person's vote.")
@click.option("--status", type=click.Choice(STATUSES), default="open", show_default=True,
              help="Without --as: only those that stand so.")  # fmt: skip
@common_options
@click.pass_context
def list_approvals(context: click.Context, person: str | None, status: str) -> int:
    """List what waits for the vote of NAME, the oldest in front; or all that is open, the newest in front."""
    from dashflow.cli.approvals import show_list

    return show_list(settings_of(context), person, status)


@approvals_group.command("show", short_help="Show what is asked, and all that was said.")
@approval_argument
@common_options
@click.pass_context
def show_approval(context: click.Context, approval: str) -> int:
    """Show what is asked, of whom, how it stands, and everything that happened: the audit trail."""
    from dashflow.cli.approvals import show_one

    return show_one(settings_of(context), approval)


def _verdict(name: str, short: str, text: str) -> click.Command:
    @approvals_group.command(name, short_help=short, help=text)
    @approval_argument
    @person_option
    @click.option("--hash", "seen", metavar="HASH", required=True,
                  help="Of what you looked at, as `show` tells it; 8 characters will do.")  # fmt: skip
    @_comment_option("Words about it, for the audit trail.")
    @answer_option
    @common_options
    @click.pass_context
    def command(
        context: click.Context, approval: str, person: str, seen: str, comment: str, answer: str
    ) -> int:
        from dashflow.cli.approvals import Said, vote

        return vote(settings_of(context), approval, name, seen, Said(person, comment, answer))

    return command


_verdict(
    "approve",
    "Approve what was shown.",
    "Approve what has this HASH. A vote of yours that was there before counts no more.",
)
_verdict(
    "reject",
    "Reject what was shown.",
    "Reject what has this HASH. A vote of yours that was there before counts no more.",
)
_verdict(
    "abstain",
    "Neither approve nor reject.",
    "Say that you neither approve nor reject what has this HASH. Nobody waits for you any more.",
)


@approvals_group.command("withdraw", short_help="Take your vote back.")
@approval_argument
@person_option
@_comment_option("Why.")
@answer_option
@common_options
@click.pass_context
def withdraw_vote(context: click.Context, approval: str, person: str, comment: str, answer: str) -> int:
    """Take your vote back, while nothing is decided."""
    from dashflow.cli.approvals import Said, withdraw

    return withdraw(settings_of(context), approval, Said(person, comment, answer))


@approvals_group.command("comment", short_help="Say something without voting.")
@approval_argument
@click.argument("text", metavar="TEXT")
@person_option
@answer_option
@common_options
@click.pass_context
def add_comment(context: click.Context, approval: str, text: str, person: str, answer: str) -> int:
    """Put TEXT into the audit trail without voting: who asked, and who may vote."""
    from dashflow.cli.approvals import Said, comment

    return comment(settings_of(context), approval, Said(person, text, answer))


@approvals_group.command("cancel", short_help="Take a request back.")
@approval_argument
@click.option("--as", "person", metavar="NAME", default="", help="Who you are.")
@click.option("--reason", metavar="TEXT", default="", help="Why.")
@common_options
@click.pass_context
def cancel_approval(context: click.Context, approval: str, person: str, reason: str) -> int:
    """Take a request back: nobody needs it any more. What waits for it fails."""
    from dashflow.cli.approvals import cancel

    return cancel(settings_of(context), approval, person, reason)
