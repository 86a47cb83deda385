"""Errors of plans, and of what runs as an item of a batch."""

from __future__ import annotations

from dashflow.errors.base import DashFlowError


class PlanError(DashFlowError):
    """A plan that cannot be run as it is."""

    code = "PLAN"


class PlanCycleError(PlanError):
    """Tasks of the plan wait for each other in a circle."""

    code = "PLAN_CYCLE"

    def __init__(self, cycle: list[str]) -> None:
        path = " -> ".join([*cycle, cycle[0]]) if cycle else "?"
        super().__init__(f"The plan has a cycle: {path}. Remove one of these dependencies.", cycle=cycle)


class UnknownDependencyError(PlanError):
    """A task depends on one that is not in the plan."""

    code = "UNKNOWN_DEPENDENCY"

    def __init__(self, task: str, dependency: str) -> None:
        super().__init__(
            f"Task {task!r} depends on {dependency!r}, which is not in the plan. "
            "Add that task or remove the dependency.",
            task=task,
            dependency=dependency,
        )


class PlanAnswerError(PlanError):
    """A model's answer that is no plan, also after repair; ``data['answer']`` has its text."""

    code = "PLAN_ANSWER"

    def __init__(self, problem: str, answer: str) -> None:
        super().__init__(
            f"The model's answer is no plan: {problem}. Try again, another model, or no --model "
            "(the built-in rules plan without one).",
            problem=problem,
            answer=answer,
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


class ModelError(DashFlowError):
    """A model could not be asked (network, key, quota); nothing was recorded of the attempt."""

    code = "MODEL"

    def __init__(self, model: str, problem: str) -> None:
        super().__init__(
            f"Model {model!r} could not be asked: {problem}. What was recorded stays; resume the run when "
            "the model can be reached again.",
            model=model,
            problem=problem,
        )
