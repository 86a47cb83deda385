"""Budgets: what a run may use before it stops and waits for somebody. Settings and data only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from dashflow.errors import UsageError

__all__ = ("LIMITS", "Budget", "BudgetExceeded", "BudgetUse", "Price")

LIMITS: Final = ("tokens", "money", "seconds", "steps", "deadline")
"""What can be limited."""


class Price(msgspec.Struct, frozen=True):
    """What a model costs, in whatever currency the budget is in, per million tokens.

    Attributes:
        input: Of what it reads.
        output: Of what it writes.
        cached: Of what it reads from its cache; None: as ``input``.
    """

    input: float
    output: float
    cached: float | None = None

    def of(self, read: float, written: float, cached: float = 0) -> float:
        """The price of a call: by tokens read, tokens written, and how many of the former were cached."""
        kept = self.input if self.cached is None else self.cached
        return ((read - cached) * self.input + cached * kept + written * self.output) / 1e6


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """What a run, with all graphs inside of it, may use. None: as much as it wants.

    Attributes:
        tokens: Tokens that chat models read and wrote, as they report them.
        money: What those cost by ``prices``.
        seconds: Time at work, not counting pauses.
        steps: Supersteps, those of graphs inside included.
        deadline: When it is to be done, seconds since the Unix epoch.
        prices: By model name, for ``money``.
        per: ``run``: every new input begins anew; ``thread``: all runs of a thread share it.
    """

    tokens: int | None = None
    money: float | None = None
    seconds: float | None = None
    steps: int | None = None
    deadline: float | None = None
    prices: Mapping[str, Price] = {}
    per: Literal["run", "thread"] = "run"

    def __post_init__(self) -> None:
        """Raises UsageError for a limit below 0, or money without prices."""
        check_limits(self.limits)
        if self.money is not None and not self.prices:
            raise UsageError(
                "A budget of money needs to know what models cost: Budget(money=..., "
                "prices={'model name': Price(input=..., output=...)})."
            )

    @property
    def limits(self) -> dict[str, float]:
        """The limits that there are."""
        return {name: getattr(self, name) for name in LIMITS if getattr(self, name) is not None}

    def told(self) -> dict[str, Any]:
        """As plain data, for the log."""
        told: dict[str, Any] = dict(self.limits)
        if self.prices:
            told["prices"] = {
                model: [price.input, price.output, price.cached] for model, price in self.prices.items()
            }
        if self.per != "run":
            told["per"] = self.per
        return told


def from_told(told: Mapping[str, Any]) -> Budget:
    """A budget out of what ``Budget.told`` made of it."""
    prices = {model: Price(*price) for model, price in told.get("prices", {}).items()}
    return Budget(**{**told, "prices": prices})


def check_limits(limits: Mapping[str, Any]) -> None:
    """Raises UsageError for what is no limit, or is below 0."""
    for name, limit in limits.items():
        if name not in LIMITS:
            raise UsageError(f"{name!r} cannot be limited; {', '.join(LIMITS)} can.", limit=name)
        if isinstance(limit, bool) or not isinstance(limit, int | float) or not limit >= 0:
            raise UsageError(f"The limit of {name} must be a number from 0 on, not {limit!r}.", limit=name)


class BudgetExceeded(msgspec.Struct, frozen=True):
    """What a paused run's interrupt says when it has used up its budget.

    ``Command(resume={"tokens": 50_000})`` or ``graph.update_budget`` raises the limit.

    Attributes:
        limit: Which limit: ``tokens``, ``money``, ``seconds``, ``steps`` or ``deadline``.
        allowed: What it is.
        used: What was used; of a deadline, the time.
        spent: Everything that was used, by limit.
    """

    limit: str
    allowed: float
    used: float
    spent: dict[str, float]


class BudgetUse(msgspec.Struct, frozen=True):
    """How a thread's last run stands with its budget.

    Attributes:
        limits: What it may use, by name.
        spent: What it has used.
        waits_for: The limit that it waits for; "" when it does not.
    """

    limits: dict[str, float]
    spent: dict[str, float]
    waits_for: str = ""
