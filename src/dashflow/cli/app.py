"""The ``dashflow`` command: its group, and the one place where an error becomes a line and a code.

Imports click and the commands' declarations only: ``dashflow --version`` and Tab have to be quick.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from dashflow.cli.commands import COMMANDS
from dashflow.cli.completion import PROGRAM, VARIABLE
from dashflow.cli.exits import Exit, exit_of
from dashflow.cli.options import Settings, common_options
from dashflow.cli.output import report_error
from dashflow.cli.streams import flush
from dashflow.version import __version__

__all__ = ["PROGRAM", "cli", "main"]


class CommandGroup(click.Group):
    """The group: its commands in the order in which a newcomer needs them, and advice on mistypings."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """See click."""
        return [command.name for command in COMMANDS if command.name]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """See click; an unknown command is answered with the nearest one."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-") and not ctx.resilient_parsing:
            from difflib import get_close_matches

            near = get_close_matches(name, self.list_commands(ctx), n=1)
            advice = f" Did you mean {near[0]!r}?" if near else ""
            if not near and " " in name.strip():
                advice = f" A goal is given to `run`: {PROGRAM} run {name!r} --on PATH"
            raise click.UsageError(f"No such command {name!r}.{advice}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
@common_options
def cli() -> None:
    """Turn a goal in plain words into a plan of tasks and work it off.

    Every step is in one append-only log, so a run that was stopped, killed or that asks something goes
    on where it was.

    \b
    dashflow run "Find TODO comments, run the tests, write a report." --on PATH
    dashflow resume            go on with whatever was stopped
    dashflow show last         the plan of the newest run, as a tree

    \b
    Exit codes: 0 done, 1 unexpected error, 2 bad input, 3 waits for an answer,
    4 plan or task failed, 5 owned by another process, 6 log unusable,
    130 interrupted.
    """


for _command in COMMANDS:
    cli.add_command(_command)


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        args: Arguments without the program's name; ``sys.argv[1:]`` when None.
    """
    words = list(sys.argv[1:] if args is None else args)
    if VARIABLE in os.environ:
        cli.main(words, PROGRAM, complete_var=VARIABLE)  # click serves Tab and leaves
    settings = Settings()
    try:
        code = cli.main(words, PROGRAM, standalone_mode=False, obj=settings)
    except SystemExit:
        code = Exit.DONE  # click's way to say that nobody reads its help text
    except (KeyboardInterrupt, click.Abort):
        code = Exit.INTERRUPTED
        report_error(code.name, "Interrupted. Runs can be resumed: dashflow resume", settings)
    except click.ClickException as error:
        code = Exit.USAGE
        # The line could not be parsed to its end, so the flag may not have been seen.
        settings.json = settings.json or "--json" in words
        report_error(code.name, _usage_text(error), settings)
    except Exception as error:
        code = exit_of(error)
        report_error(_code_of(error, code), _text_of(error, code), settings, cause=error)
    flush([sys.stdout, sys.stderr])
    return int(code or 0)


def _usage_text(error: click.ClickException) -> str:
    """What was wrong with the arguments, and where to read how it is right."""
    context = getattr(error, "ctx", None)
    path = PROGRAM if context is None else context.command_path
    return f"{error.format_message()} See: {path} --help"


def _code_of(error: BaseException, code: Exit) -> str:
    """The stable identifier of an error, for programs."""
    known = getattr(error, "code", None)
    return known if isinstance(known, str) else code.name


def _text_of(error: BaseException, code: Exit) -> str:
    """The line that people read."""
    if code is not Exit.UNEXPECTED:
        return str(error)
    return (
        f"Unexpected {type(error).__name__}: {error}. What was recorded before is safe; "
        "give --debug as well to see where it happened."
    )
