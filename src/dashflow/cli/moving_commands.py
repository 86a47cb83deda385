"""The commands that move events and threads between logs, files and other databases, as click sees them.

What they do is in ``moving``, imported when one runs.
"""

from __future__ import annotations

import click

from dashflow.cli.options import common_options, settings_of

file_argument = click.argument("file", metavar="FILE", type=click.Path())


@click.group("import", short_help="Bring threads of other programs over.")
@common_options
def import_() -> None:
    """Bring over what another program stored, so that its threads go on here."""


@import_.command("langgraph", short_help="Bring threads over that LangGraph stored.")
@click.argument("source", metavar="SOURCE")
@click.option("--thread", "threads", metavar="ID", multiple=True, help="Only this thread; may be repeated.")
@click.option("--store", metavar="FILE", type=click.Path(), help="Put the items of a store into this file.")
@click.option("--dry-run", is_flag=True, help="Read and check everything, and record nothing.")
@common_options
@click.pass_context
def langgraph(
    context: click.Context, source: str, threads: tuple[str, ...], store: str | None, dry_run: bool
) -> int:
    """Bring the threads of SOURCE over: a file of LangGraph's SqliteSaver, or a PostgreSQL DSN.

    Threads come with their history, their questions and the work that was done at the last step, and go
    on here. SOURCE is not changed. Importing again adds only what is new; an import that was killed is
    simply repeated. What cannot be brought over is listed, and the exit code is 4 then.

    \b
    dashflow import langgraph checkpoints.sqlite --dry-run
    dashflow import langgraph postgresql://localhost/agents --store memories.db
    """
    from dashflow.cli.moving import import_threads

    return import_threads(settings_of(context), source, threads, store, dry_run=dry_run)


@click.group("log", short_help="Write events to a file, or read them from one.")
@common_options
def log() -> None:
    """Move events between logs, as JSON lines that also other programs can read."""


@log.command("export", short_help="Write events as JSON lines.")
@click.option("--stream", "streams", metavar="NAME", multiple=True, help="Only this stream; may be repeated.")
@click.option(
    "--thread", "threads", metavar="ID", multiple=True, help="Only this thread, with its subgraphs."
)
@click.option("--category", metavar="NAME", help="Only streams of this category: run, sub, plan.")
@click.option(
    "--output",
    "-o",
    "path",
    metavar="FILE",
    type=click.Path(),
    help="Into this new file, packed if it ends in .zst or .gz. [default: standard output]",
)
@common_options
@click.pass_context
def export(
    context: click.Context,
    streams: tuple[str, ...],
    threads: tuple[str, ...],
    category: str | None,
    path: str | None,
) -> int:
    """Write all events, or those of some streams, as JSON lines: one event a line, oldest first.

    The first line says what follows, the last has a checksum. `dashflow log import` reads it.

    \b
    dashflow log export > events.jsonl
    dashflow log export --thread 42 -o thread-42.jsonl.gz
    """
    from dashflow.cli.moving import export_events

    return export_events(settings_of(context), streams, threads, category, path)


@log.command("import", short_help="Bring exported events into a log.")
@file_argument
@common_options
@click.pass_context
def import_events(context: click.Context, file: str) -> int:
    """Bring the events of FILE, which `dashflow log export` wrote, into the log.

    All of FILE is checked first. Events that the log has are left as they are; a stream that has others
    is refused, and nothing is recorded then.
    """
    from dashflow.cli.moving import bring_events

    return bring_events(settings_of(context), file)


@log.command("migrate", short_help="Bring the log's tables to the present format.")
@click.option("--dry-run", is_flag=True, help="Change nothing; show the SQL that would be run.")
@common_options
@click.pass_context
def migrate(context: click.Context, dry_run: bool) -> int:
    """Bring the tables of an older log to the format of this version; opening the log does so too.

    All steps are taken in one transaction. A log of a later version is refused.

    \b
    dashflow log migrate --dry-run --db postgresql://localhost/agents
    """
    from dashflow.cli.upkeep import migrate_log

    return migrate_log(settings_of(context), dry_run=dry_run)


@log.command("compact", short_help="Give free space of the log's file back.")
@common_options
@click.pass_context
def compact(context: click.Context) -> int:
    """Write the log's file anew without the space that pruned and deleted threads left.

    Runs may go on; their appends wait meanwhile. The disk needs room for twice the content.
    """
    from dashflow.cli.upkeep import compact_log

    return compact_log(settings_of(context))


@click.group("backup", short_help="Make, check and restore backups.")
@common_options
def backup() -> None:
    """Back the log up while runs go on, and make a new log out of a backup."""


@backup.command("create", short_help="Back the log up.")
@file_argument
@common_options
@click.pass_context
def create(context: click.Context, file: str) -> int:
    """Write everything that the log holds into the new FILE, packed if it ends in .zst or .gz.

    Runs may go on meanwhile; FILE has what was recorded up to one moment.
    """
    from dashflow.cli.moving import create_backup

    return create_backup(settings_of(context), file)


@backup.command("restore", short_help="Make a new log out of a backup.")
@file_argument
@click.option(
    "--until",
    metavar="WHEN",
    help="Only up to a position, such as 1200, or a time, such as 2026-05-04T10:30:00Z (UTC without a zone).",
)
@common_options
@click.pass_context
def restore(context: click.Context, file: str, until: str | None) -> int:
    """Make the new log that --db names out of FILE.

    With --until the log is as it was at that moment. It is there once it is complete, or not at all.

    \b
    dashflow backup restore backup.jsonl.gz --db restored.db
    dashflow backup restore backup.jsonl.gz --db before.db --until 2026-05-04T10:30:00Z
    """
    from dashflow.cli.moving import restore_backup

    return restore_backup(settings_of(context), file, until)


@backup.command("verify", short_help="Check a backup, or the log.")
@click.argument("file", metavar="[FILE]", required=False, type=click.Path())
@common_options
@click.pass_context
def verify(context: click.Context, file: str | None) -> int:
    """Check FILE, or without it the log: checksums, gaps, order, counts, and whether events can be read.

    Nothing is repaired. The exit code is 6 if something is wrong.
    """
    from dashflow.cli.moving import verify_events

    return verify_events(settings_of(context), file)


COMMANDS: tuple[click.Command, ...] = (log, backup, import_)
"""In the order in which they are listed."""
