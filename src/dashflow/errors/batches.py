"""Errors of batches."""

from __future__ import annotations

from dashflow.errors.base import DashFlowError
from dashflow.errors.usage import UsageError


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


class ItemTimeoutError(DashFlowError):
    """An attempt at an item of a batch took longer than the batch's ``timeout``; its result is refused."""

    code = "ITEM_TIMEOUT"

    def __init__(self, key: str, seconds: float) -> None:
        super().__init__(f"Item {key!r} took longer than {seconds:g} s.", key=key, seconds=seconds)


class ItemWaitingError(DashFlowError):
    """An item of a batch waits for an answer of a person. Answer its run, then requeue the item."""

    code = "ITEM_WAITING"

    def __init__(self, key: str, run: str, question: str) -> None:
        super().__init__(
            f"Item {key!r} waits for an answer: {question} Answer run {run!r}, then requeue the item.",
            key=key,
            run=run,
            question=question,
        )


class ItemFailedError(DashFlowError):
    """The run of an item came to its end without a result."""

    code = "ITEM_FAILED"

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(f"Item {key!r} came to no result: {problem}", key=key, problem=problem)
