"""Errors of callers: something was asked for that cannot be."""

from __future__ import annotations

from dashflow.errors.base import DashFlowError


class UsageError(DashFlowError):
    """The caller asked for something that cannot be done; the message says what to do."""

    code = "USAGE"


class EmptyGoalError(UsageError):
    """A goal without a word in it."""

    code = "EMPTY_GOAL"

    def __init__(self) -> None:
        super().__init__("The goal is empty. Say in plain words what should be done.")


class WorkspaceError(UsageError):
    """The folder to work on is missing, cannot be read, or holds nothing to look at."""

    code = "WORKSPACE"

    def __init__(self, path: str, problem: str, remedy: str) -> None:
        super().__init__(f"Folder {path!r} {problem}. {remedy}", path=path, problem=problem)


class UnknownRunError(UsageError):
    """No run, thread or plan of that name is in the log."""

    code = "UNKNOWN_RUN"

    def __init__(self, run: str, log: str) -> None:
        super().__init__(
            f"No run {run!r} in {log}. `dashflow runs` lists the runs of a log; --db names another log.",
            run=run,
            log=log,
        )


class UnknownCheckpointError(UsageError):
    """The thread has no checkpoint of that id."""

    code = "UNKNOWN_CHECKPOINT"

    def __init__(self, thread: str, checkpoint: str) -> None:
        super().__init__(
            f"Thread {thread!r} has no checkpoint {checkpoint!r}. get_state_history() lists those it "
            "has; leave checkpoint_id out to go on from the latest.",
            thread=thread,
            checkpoint=checkpoint,
        )


class RunStateError(UsageError):
    """The run exists but its state does not allow what was asked."""

    code = "RUN_STATE"

    def __init__(self, run: str, state: str, wanted: str) -> None:
        super().__init__(f"Run {run!r} is {state}; {wanted}", run=run, state=state)


class AliasInstallError(UsageError):
    """``dashflow.compat.install()`` cannot do what was asked."""

    code = "ALIAS_INSTALL"


class AliasMissingError(UsageError, ModuleNotFoundError):
    """Something of LangGraph's was imported through the alias that DashFlow does not have.

    Attributes:
        name: The module or name that was asked for.
    """

    code = "ALIAS_MISSING"

    def __init__(self, asked: str, wanted: str) -> None:
        super().__init__(
            f"DashFlow has nothing in place of {asked} (that would be {wanted}). It is private to LangGraph "
            "or not there yet; docs/compat.md lists what is.",
            asked=asked,
            wanted=wanted,
        )
        self.name = asked
