"""Managed values, as users import them."""

from typing import TYPE_CHECKING, Any

from dashflow.managed.is_last_step import IsLastStep, RemainingSteps

if TYPE_CHECKING:
    from dashflow.managed.context import Context

__all__ = ("Context", "IsLastStep", "RemainingSteps")


def __getattr__(name: str) -> Any:
    """Load what few graphs use when it is asked for."""
    if name == "Context":
        from dashflow.managed.context import Context

        return Context
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
