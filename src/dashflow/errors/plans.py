"""Errors of plans."""

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
