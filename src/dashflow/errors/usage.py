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


class UnknownBatchError(UsageError):
    """No batch of that name is in the log."""

    code = "UNKNOWN_BATCH"

    def __init__(self, name: str, log: str) -> None:
        super().__init__(
            f"No batch {name!r} in {log}. `dashflow batch status` lists the batches of a log; --db names "
            "another log.",
            name=name,
            log=log,
        )


class BatchStateError(UsageError):
    """The batch exists but its state does not allow what was asked."""

    code = "BATCH_STATE"

    def __init__(self, name: str, state: str, wanted: str) -> None:
        super().__init__(f"Batch {name!r} is {state}; {wanted}", name=name, state=state)


class BatchInputError(UsageError):
    """The source of a batch's items failed, or is not the one that the batch was started with.

    What was accepted before stays; the batch goes on with a source that works.
    """

    code = "BATCH_INPUT"

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(
            f"The items of batch {name!r}: {problem}. What was accepted before stays. Run the batch again "
            "with the same items, or give other ones to a batch of another name.",
            name=name,
            problem=problem,
        )


class DuplicateKeyError(BatchInputError):
    """Two items of a batch have the same key."""

    code = "DUPLICATE_KEY"

    def __init__(self, name: str, key: str, item: int) -> None:
        super().__init__(
            name, f"item {item} has the key {key!r}, which an item before it has; every key may come once"
        )
        self.data.update(key=key, item=item)


class BatchAggregateError(UsageError):
    """A function that aggregates results raised; the results themselves are recorded."""

    code = "BATCH_AGGREGATE"

    def __init__(self, name: str, aggregate: str, item: int, problem: str) -> None:
        super().__init__(
            f"Aggregate {aggregate!r} of batch {name!r} failed at item {item}: {problem}. The results are "
            "recorded; mend the function and run the batch again.",
            name=name,
            aggregate=aggregate,
            item=item,
            problem=problem,
        )


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
