"""Exit codes of the command line, in one table that the docs are made from.

Imports nothing of DashFlow before an error has come. Scripts match on these numbers; a published one
never changes its meaning.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What a command came to, as the number the shell sees; ``meaning`` says it in words."""

    meaning: str
    remedy: str

    def __new__(cls, number: int, meaning: str, remedy: str) -> Exit:
        """A code with its row of the table."""
        member = int.__new__(cls, number)
        member._value_ = number
        member.meaning = meaning
        member.remedy = remedy
        return member

    DONE = (
        0,
        "Done. Findings, failing tests among them, are results and not errors.",
        "Read the report.",
    )
    UNEXPECTED = (
        1,
        "An error that DashFlow did not foresee.",
        "Run it again with --debug and report what it prints.",
    )
    USAGE = (
        2,
        "Bad input: an unknown option, an empty goal, a folder that cannot be used, an unknown run.",
        "The message says what to change; nothing was started.",
    )
    WAITING = (
        3,
        "The run waits for an answer, or for an approval.",
        "dashflow answer RUN TEXT --resume",
    )
    FAILED = (
        4,
        "The plan failed, was cancelled, or some of its tasks failed; an import left something out; "
        "a replay diverged; a crash lost something.",
        "dashflow show RUN says which and why; an import or replay lists what.",
    )
    OWNED = (
        5,
        "Another living process owns the run; nothing was done.",
        "Wait for it, or stop it and resume.",
    )
    LOG = (
        6,
        "The log or a file for it cannot be used: none, of a newer format, damaged, or its disk is full.",
        "The message says which; what was recorded before is safe.",
    )
    INTERRUPTED = (
        130,
        "Stopped by Ctrl-C, SIGTERM or SIGHUP. The run can be resumed.",
        "dashflow resume RUN",
    )


def exit_of(error: BaseException) -> Exit:
    """The exit code of an error that reached the command line."""
    from dashflow import errors  # not needed, and not quick, before something went wrong

    by_error: tuple[tuple[type[BaseException], Exit], ...] = (
        (errors.OwnershipConflictError, Exit.OWNED),
        (errors.FencedError, Exit.OWNED),
        (errors.VersionConflictError, Exit.OWNED),
        (errors.ValueCodecError, Exit.UNEXPECTED),
        (errors.LogError, Exit.LOG),
        (errors.UsageError, Exit.USAGE),
        (errors.PlanError, Exit.FAILED),
        (errors.IncompatibleGraphError, Exit.USAGE),
        (errors.StateValidationError, Exit.USAGE),
    )
    for kind, code in by_error:
        if isinstance(error, kind):
            return code
    return Exit.UNEXPECTED


def exit_table() -> str:
    """The codes as a Markdown table, for the docs."""
    rows = ["| code | name | meaning | what to do |", "|---|---|---|---|"]
    rows += [f"| {code:d} | {code.name.lower()} | {code.meaning} | {code.remedy} |" for code in Exit]
    return "\n".join(rows) + "\n"
