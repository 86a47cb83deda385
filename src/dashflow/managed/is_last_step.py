"""IsLastStep and RemainingSteps: how close a run is to its recursion limit."""

from __future__ import annotations

from typing import Annotated

from dashflow.managed.base import ManagedValue, Progress

__all__ = ("IsLastStep", "RemainingSteps", "RemainingStepsManager")


class IsLastStepManager(ManagedValue[bool]):
    """Whether the recursion limit ends the run after this step."""

    @staticmethod
    def get(scratchpad: Progress) -> bool:
        """True in the last step."""
        return scratchpad.step == scratchpad.stop - 1


class RemainingStepsManager(ManagedValue[int]):
    """How many steps the recursion limit leaves, this one included."""

    @staticmethod
    def get(scratchpad: Progress) -> int:
        """1 in the last step."""
        return scratchpad.stop - scratchpad.step


IsLastStep = Annotated[bool, IsLastStepManager]
"""Type of a state's key that is True in the last step that the recursion limit allows."""

RemainingSteps = Annotated[int, RemainingStepsManager]
"""Type of a state's key that counts the steps that the recursion limit leaves."""
