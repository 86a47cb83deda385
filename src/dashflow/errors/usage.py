"""Errors of callers: something was asked for that cannot be."""

from __future__ import annotations

from collections.abc import Sequence

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


class UnknownBranchError(UsageError):
    """The thread has no branch of that name, or several of its branches have one each."""

    code = "UNKNOWN_BRANCH"

    def __init__(self, thread: str, branch: str, known: Sequence[str]) -> None:
        there = f"its branches are the threads {', '.join(known)}" if known else "it has no branches"
        super().__init__(
            f"Thread {thread!r} has no branch {branch!r}, or several; {there}.",
            thread=thread,
            branch=branch,
            known=list(known),
        )


class BranchExistsError(UsageError):
    """A branch of that name begins in the thread already; nothing was written."""

    code = "BRANCH_EXISTS"

    def __init__(self, thread: str, branch: str, at: str) -> None:
        super().__init__(
            f"Thread {thread!r} has a branch {branch!r} already: thread {at!r}. Choose another name, or "
            "delete that one.",
            thread=thread,
            branch=branch,
            at=at,
        )


class MergeConflictError(UsageError):
    """Both threads changed keys that have no reducer; nothing was written.

    Attributes:
        keys: Those keys.
    """

    code = "MERGE_CONFLICT"

    def __init__(self, target: str, source: str, keys: Sequence[str], remedy: str) -> None:
        super().__init__(
            f"Threads {target!r} and {source!r} both changed {', '.join(keys)}; nothing was merged. {remedy}",
            target=target,
            source=source,
            keys=list(keys),
        )
        self.keys = tuple(keys)


class UnrelatedThreadsError(UsageError):
    """Two threads that were to be merged have no checkpoint in common."""

    code = "UNRELATED_THREADS"

    def __init__(self, target: str, source: str) -> None:
        super().__init__(
            f"Threads {target!r} and {source!r} have no checkpoint in common, so nothing tells what either "
            "changed. Only a branch can be merged with what it came from, or with its siblings.",
            target=target,
            source=source,
        )


class BranchesUnsupportedError(UsageError):
    """The checkpointer cannot do what branches need; the message names the method that it lacks."""

    code = "BRANCHES_UNSUPPORTED"

    def __init__(self, saver: str, method: str) -> None:
        super().__init__(
            f"{saver} does not implement {method}(), which this needs. DashFlow's own checkpointers can do "
            "all that branches need.",
            saver=saver,
            method=method,
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
