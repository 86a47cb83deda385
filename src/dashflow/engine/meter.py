"""Meter: counts what a run and the graphs inside of it use, and says when a limit is reached.

Knows no clock: time is given by the host. What it counted is recorded by the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from dashflow._util.ids import digest
from dashflow.core.fold import ThreadState
from dashflow.engine.ports import Host
from dashflow.errors import GraphInterrupt, UsageError
from dashflow.options import RunOptions, merge_configs
from dashflow.types.budget import LIMITS, Budget, BudgetExceeded, check_limits, from_told
from dashflow.types.commands import Command
from dashflow.types.interrupts import Interrupt


class Meter:
    """Of one run.

    Args:
        host: The world.
        budget: What its caller or its graph allows.
        given: Whether its caller said so for this very run; then it counts more than what the log knows.

    Attributes:
        limits: What counts now, by name.
        spent: What was used, by name; time up to the last ``count``.
        reached: The limit that the run stops for.
    """

    def __init__(self, host: Host, budget: Budget, *, given: bool = False) -> None:
        self._host = host
        self._budget = budget
        self._given = given
        self._mutex = host.mutex()
        self._since = host.elapsed()
        self._recorded: dict[str, float] = {}
        self._models: dict[UUID, str] = {}
        self.limits: dict[str, float] = budget.limits
        self.spent: dict[str, float] = {}
        self.reached: BudgetExceeded | None = None

    # -- beginning ------------------------------------------------------------------------------

    def begin(self, state: ThreadState, raised: Mapping[str, float], *, anew: bool) -> None:
        """The run is accepted on a thread.

        Args:
            state: The thread.
            raised: Limits that come with the answer to a pause.
            anew: It begins with an input.
        """
        shared = self._budget.per == "thread"
        known = {} if self._given or (anew and not shared) else state.budget
        self.limits = {**self._budget.limits, **known, **raised}
        self.spent = {} if anew and not shared else dict(state.spent)
        self._recorded = dict(self.spent)
        self._since = self._host.elapsed()

    # -- counting -------------------------------------------------------------------------------

    def step(self) -> None:
        """A superstep is complete."""
        with self._mutex:
            self.spent["steps"] = self.spent.get("steps", 0) + 1

    def news(self) -> dict[str, float] | None:
        """What was used in all, if that is more than when this was asked last."""
        with self._mutex:
            self._time()
            if self.spent == self._recorded:
                return None
            self._recorded = dict(self.spent)
            return self._recorded

    def _time(self) -> None:
        now = self._host.elapsed()
        if "seconds" in self.limits:
            self.spent["seconds"] = self.spent.get("seconds", 0.0) + now - self._since
        self._since = now

    def check(self) -> None:
        """Something else is to begin.

        Raises:
            GraphInterrupt: Nothing is left for it.
        """
        with self._mutex:
            self._time()
            for name in LIMITS:
                allowed, used = self.limits.get(name), self.spent.get(name, 0)
                if name == "deadline" and allowed is not None:
                    used = self._host.now() / 1e9
                if allowed is not None and used >= allowed:
                    self.reached = BudgetExceeded(name, allowed, used, dict(self.spent))
                    raise GraphInterrupt(())

    # -- models ---------------------------------------------------------------------------------
    # A LangChain callback handler. LangChain asks for no base class, so it has none.

    raise_error = True
    run_inline = True
    ignore_llm = ignore_chat_model = False
    ignore_retry = ignore_chain = ignore_agent = ignore_retriever = ignore_custom_event = True

    def on_chat_model_start(
        self, serialized: Any, messages: Any, *, run_id: UUID, metadata: Any = None, **kwargs: Any
    ) -> None:
        """A model is to be called: not when nothing is left.

        Raises:
            GraphInterrupt: As ``check``.
            UsageError: It costs money, and nobody said how much.
        """
        self.check()
        if "money" in self.limits:
            model = str((metadata or {}).get("ls_model_name") or "")
            if model not in self._budget.prices:
                raise UsageError(
                    f"The run has a budget of money, and its prices do not name the model {model!r}. Add it: "
                    "Budget(prices={...: Price(input=..., output=...)}).",
                    model=model,
                )
            self._models[run_id] = model

    def on_llm_start(self, serialized: Any, prompts: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """The same for models of text."""
        self.on_chat_model_start(serialized, prompts, run_id=run_id, **kwargs)

    def on_llm_end(self, response: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """A model has answered: count what it says that it used."""
        model = self._models.pop(run_id, "")
        for generation in (one for row in response.generations for one in row):
            usage = getattr(getattr(generation, "message", None), "usage_metadata", None)
            if usage:
                self.used(model, usage)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """It did not answer."""
        self._models.pop(run_id, None)

    def used(self, model: str, usage: Mapping[str, Any]) -> None:
        """Count one call's ``usage_metadata``."""
        read, written = usage.get("input_tokens", 0), usage.get("output_tokens", 0)
        cached = (usage.get("input_token_details") or {}).get("cache_read") or 0
        with self._mutex:
            spent = self.spent
            spent["tokens"] = spent.get("tokens", 0) + (usage.get("total_tokens") or read + written)
            price = self._budget.prices.get(model)
            if price is not None:
                spent["money"] = spent.get("money", 0.0) + price.of(read, written, cached)


def late_meter(host: Host, state: ThreadState, options: RunOptions) -> Meter:
    """For a run whose budget only the log knows, since nobody said it again when it went on."""
    budget = from_told(state.options.get("budget", {}))
    meter = Meter(host, budget)
    config = options.config
    if options.tracer is None:
        config["callbacks"] = merge_configs(config, {"callbacks": [meter]})["callbacks"]
    return meter


def paused_for(run: str, exceeded: BudgetExceeded) -> Interrupt[Any]:
    """The interrupt that a run's caller, and whoever looks at its thread, sees."""
    return Interrupt(exceeded, _id(run))


def raised_by(given: Any, state: ThreadState) -> tuple[Any, dict[str, float]]:
    """The limits that an answer to a pause raises, and what of the input is left for the graph.

    Raises:
        UsageError: The answer is neither a budget nor limits.
    """
    if not state.exceeded or not isinstance(given, Command) or given.resume is None:
        return given, {}
    resume = given.resume
    if isinstance(resume, dict) and set(resume) == {_id(state.run)}:
        resume = resume[_id(state.run)]
    if isinstance(resume, Budget):
        limits = resume.limits
    elif isinstance(resume, dict):
        check_limits(resume)
        limits = resume
    else:
        raise UsageError(
            f"The run waits since its budget of {state.exceeded['limit']} is used up; resume it with larger "
            f"limits, Command(resume={{{state.exceeded['limit']!r}: ...}}), not with {resume!r}."
        )
    rest = Command(graph=given.graph, update=given.update, goto=given.goto)
    return (rest if given.update or given.goto else None), dict(limits)


def _id(run: str) -> str:
    return digest(f"budget|{run}")
