"""Make docs/reference/cli.md from the commands themselves and the table of exit codes.

With ``--check`` nothing is written, and a page that is not current ends with 1.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from dashflow.cli.app import PROGRAM, cli
from dashflow.cli.exits import exit_table

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "cli.md"

HEAD = """\
# Command line

<!-- Made by scripts/cli_reference.py from the commands themselves. Do not edit: `make features`. -->
"""


def render() -> str:
    """The page's text."""
    context = click.Context(cli, info_name=PROGRAM)
    lines = [HEAD, *_command(cli, context), "Every command has these options.\n"]
    return "\n".join([*lines, *_subcommands(context), *_exit_codes()]) + "\n"


def _subcommands(parent: click.Context) -> Iterator[str]:
    group = parent.command
    if not isinstance(group, click.Group):
        return
    for name in group.list_commands(parent):
        command = group.get_command(parent, name)
        if command is not None and not command.hidden:
            context = click.Context(command, parent, name)
            yield from _command(command, context)
            yield from _subcommands(context)


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    """Heading, usage, help, and the options that it has beyond those of the group."""
    yield f"## {context.command_path}\n"
    pieces = " ".join(command.collect_usage_pieces(context))
    yield f"```text\n{context.command_path} {pieces}\n```\n"
    yield _prose(command.help or "")
    common = (
        set() if context.parent is None else {param.name for param in cli.get_params(context.find_root())}
    )
    own = (param for param in command.get_params(context) if param.name not in common)
    rows = [row for param in own if (row := _option(param, context))]
    if rows:
        yield "| option | meaning |\n|---|---|"
        yield from rows
        yield ""


def _prose(text: str) -> str:
    """A help text as Markdown; paragraphs that click must not rewrap become code blocks."""
    paragraphs = []
    for paragraph in inspect.cleandoc(text.replace("\f", "")).split("\n\n"):
        if paragraph.lstrip().startswith("\b"):
            paragraphs.append(f"```text\n{paragraph.lstrip()[1:].strip()}\n```")
        else:
            paragraphs.append(paragraph.strip())
    return "\n\n".join(part for part in paragraphs if part) + "\n"


def _option(param: click.Parameter, context: click.Context) -> str | None:
    """One row of the options table; click's own record has the words and the default."""
    record = param.get_help_record(context)
    if record is None or not record[1]:  # what an argument is, the help's text says
        return None
    # The order of a flag's two spellings is click's; "|" would end the cell.
    names, meaning = (" ".join(cell.split()).replace("|", "\\|") for cell in record)
    return f"| `{names}` | {meaning} |"


def _exit_codes() -> Iterator[str]:
    yield "## Exit codes\n"
    yield exit_table().rstrip()


def main(arguments: list[str]) -> int:
    """Write the page, or with ``--check`` say whether it is current."""
    text = render()
    if arguments == ["--check"]:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
            print("cli_reference: docs/reference/cli.md is not current; run `make features` and commit it.")
            return 1
        print("cli_reference: docs/reference/cli.md is current.")
        return 0
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(text, encoding="utf-8")
    print("cli_reference: wrote docs/reference/cli.md.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
