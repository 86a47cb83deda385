"""Errors of effects: steps that cannot be told apart or came in another order, answers that come too late."""

from __future__ import annotations

from collections.abc import Sequence

from dashflow.errors.base import DashFlowError


class StepError(DashFlowError):
    """A step that cannot be found in, or added to, what was recorded of its node.

    Attributes:
        node: The node.
        step: Name of the step.
    """

    code = "STEP"

    def __init__(self, message: str, node: str, step: str, **data: object) -> None:
        super().__init__(message, node=node, step=step, **data)
        self.node = node
        self.step = step


class NondeterministicStepError(StepError):
    """A node that runs again calls another step than it did at that place before. Nothing was called.

    Attributes:
        order: The place: how many steps of the node came before.
        recorded: Name of the step that was recorded there.
    """

    code = "NONDETERMINISTIC_STEP"

    def __init__(self, node: str, order: int, *, recorded: str, called: str) -> None:
        super().__init__(
            f"Node {node!r} runs again and calls step {called!r} as number {order + 1}, where step "
            f"{recorded!r} was recorded. Steps must come in the same order again: let the node decide by its "
            "state and by results of steps only; or, if its code was changed, let it run as it was.",
            node,
            called,
            order=order,
            recorded=recorded,
        )
        self.order = order
        self.recorded = recorded


class AmbiguousStepError(StepError):
    """Several steps of one name beside each other, in an order that is chance. It was not called."""

    code = "AMBIGUOUS_STEP"

    def __init__(self, node: str, step: str) -> None:
        super().__init__(
            f"Step {step!r} of node {node!r} is called again from a thread or task that the node started: "
            "which of them is which could not be told after a crash. Give each a name of its own, such as "
            f"f{step + ' {item}'!r}.",
            node,
            step,
        )


class AmbiguousAnswerError(DashFlowError, RuntimeError):
    """One answer, and several open questions. Nothing was written.

    Attributes:
        pending_ids: Ids of the open questions.
    """

    code = "AMBIGUOUS_ANSWER"

    def __init__(self, message: str, pending_ids: Sequence[str]) -> None:
        super().__init__(message, pending_ids=list(pending_ids))
        self.pending_ids = tuple(pending_ids)


class InterruptExpiredError(DashFlowError):
    """An answer came after its question's time, and the question has no default. Nothing was written.

    Attributes:
        interrupt_ids: Ids of the questions.
        expired_at: When the first of them expired, seconds since the Unix epoch.
    """

    code = "INTERRUPT_EXPIRED"

    def __init__(self, thread: str, interrupt_ids: Sequence[str], expired_at: float) -> None:
        super().__init__(
            f"The answer to {', '.join(interrupt_ids)} in thread {thread!r} came after the question's time "
            "was over; it was not taken. `invoke(None, config)` asks again, with new time.",
            thread=thread,
            interrupt_ids=list(interrupt_ids),
            expired_at=expired_at,
        )
        self.interrupt_ids = tuple(interrupt_ids)
        self.expired_at = expired_at
