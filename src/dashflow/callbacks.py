"""Callbacks for what happens to graphs alone: a run is interrupted, and goes on.

Handlers are LangChain's, so this imports it: the engine's edge loads this file when a run has callbacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler, BaseCallbackManager
from langchain_core.callbacks.manager import ahandle_event, handle_event

from dashflow.types import Interrupt

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

__all__ = (
    "GraphCallbackHandler",
    "GraphInterruptEvent",
    "GraphLifecycleEvent",
    "GraphLifecycleStatus",
    "GraphResumeEvent",
    "get_async_graph_callback_manager_for_config",
    "get_sync_graph_callback_manager_for_config",
)

GraphLifecycleStatus: TypeAlias = Literal[
    "input", "pending", "done", "interrupt_before", "interrupt_after", "out_of_steps"
]
"""Where a run was: reading its input, in a step, at its end, at a static breakpoint, or at its step limit."""


@dataclass(frozen=True)
class GraphInterruptEvent:
    """A run stopped because somebody is asked, or at a static breakpoint (then ``interrupts`` is empty).

    Attributes:
        run_id: Id of the run.
        status: Where it was.
        checkpoint_id: The checkpoint it can go on from.
        checkpoint_ns: Namespace of the graph; ``()`` for the outermost.
        interrupts: What is asked.
    """

    run_id: UUID | None
    status: GraphLifecycleStatus
    checkpoint_id: str
    checkpoint_ns: tuple[str, ...]
    interrupts: tuple[Interrupt[Any], ...]


@dataclass(frozen=True)
class GraphResumeEvent:
    """A run goes on from a checkpoint.

    Attributes:
        run_id: Id of the run.
        status: Where it is.
        checkpoint_id: The checkpoint.
        checkpoint_ns: Namespace of the graph; ``()`` for the outermost.
    """

    run_id: UUID | None
    status: GraphLifecycleStatus
    checkpoint_id: str
    checkpoint_ns: tuple[str, ...]


GraphLifecycleEvent: TypeAlias = GraphInterruptEvent | GraphResumeEvent
"""Either event."""


class GraphCallbackHandler(BaseCallbackHandler):
    """Base of handlers that want to know of these events; given in ``config["callbacks"]``.

    Other handlers there do not get them. A handler with ``raise_error`` stops the run with what it raises;
    other errors of handlers are logged.
    """

    def on_interrupt(self, event: GraphInterruptEvent) -> Any:
        """A run stopped; may be a coroutine function."""

    def on_resume(self, event: GraphResumeEvent) -> Any:
        """A run goes on; may be a coroutine function."""


_UNCHANGED: Any = object()


class _GraphCallbacks(BaseCallbackManager):
    """The handlers of one run that are told of graph events.

    Args:
        handlers: They get the events.
        inheritable_handlers: They also get those of runs inside.
        parent_run_id: Of the run that this one is part of.
        run_id: Goes into the events.
        **about: Tags and metadata, as LangChain's managers have them.
    """

    def __init__(
        self,
        handlers: Sequence[BaseCallbackHandler] | None = None,
        inheritable_handlers: Sequence[BaseCallbackHandler] | None = None,
        parent_run_id: UUID | None = None,
        *,
        run_id: UUID | None = None,
        **about: Any,
    ) -> None:
        super().__init__(list(handlers or ()), list(inheritable_handlers or ()), parent_run_id, **about)
        self.run_id = run_id

    def copy(self, *, run_id: UUID | None = _UNCHANGED) -> Self:
        """A copy, for another run when ``run_id`` is given."""
        return self._made_from(self, self.run_id if run_id is _UNCHANGED else run_id)

    @classmethod
    def configure(cls, callbacks: object | None = None, *, run_id: UUID | None = None) -> Self:
        """The manager for what a config has as ``callbacks``: a manager, a handler, or a list of handlers.

        Raises:
            TypeError: It is something else.
        """
        if callbacks is None:
            return cls(run_id=run_id)
        if isinstance(callbacks, BaseCallbackManager):
            return cls._made_from(callbacks, run_id)
        if isinstance(callbacks, GraphCallbackHandler):
            return cls((callbacks,), run_id=run_id)
        if isinstance(callbacks, str | bytes) or not isinstance(callbacks, Sequence):
            raise TypeError("callbacks must be a handler, sequence, or manager")
        return cls(_interested(callbacks), run_id=run_id)

    @classmethod
    def _made_from(cls, manager: BaseCallbackManager, run_id: UUID | None) -> Self:
        return cls(
            _interested(manager.handlers),
            _interested(manager.inheritable_handlers),
            manager.parent_run_id,
            run_id=run_id,
            tags=manager.tags.copy(),
            inheritable_tags=manager.inheritable_tags.copy(),
            metadata=manager.metadata.copy(),
            inheritable_metadata=manager.inheritable_metadata.copy(),
        )


def _interested(handlers: Sequence[Any]) -> list[BaseCallbackHandler]:
    return [handler for handler in handlers if isinstance(handler, GraphCallbackHandler)]


class _GraphCallbackManager(_GraphCallbacks):
    """Tells handlers in synchronous runs."""

    def on_interrupt(self, event: GraphInterruptEvent) -> None:
        """A run stopped."""
        handle_event(_interested(self.handlers), "on_interrupt", None, event)

    def on_resume(self, event: GraphResumeEvent) -> None:
        """A run goes on."""
        handle_event(_interested(self.handlers), "on_resume", None, event)


class _AsyncGraphCallbackManager(_GraphCallbacks):
    """Tells handlers in asynchronous runs."""

    @property
    def is_async(self) -> bool:
        """Yes."""
        return True

    async def on_interrupt(self, event: GraphInterruptEvent) -> None:
        """A run stopped."""
        await ahandle_event(_interested(self.handlers), "on_interrupt", None, event)

    async def on_resume(self, event: GraphResumeEvent) -> None:
        """A run goes on."""
        await ahandle_event(_interested(self.handlers), "on_resume", None, event)


def get_sync_graph_callback_manager_for_config(
    config: RunnableConfig, *, run_id: UUID | None = None
) -> _GraphCallbackManager:
    """What tells those ``config["callbacks"]`` that are graph handlers of a run's events.

    Raises:
        TypeError: The callbacks are no handler, list of handlers or manager.
    """
    return _GraphCallbackManager.configure(config.get("callbacks"), run_id=run_id)


def get_async_graph_callback_manager_for_config(
    config: RunnableConfig, *, run_id: UUID | None = None
) -> _AsyncGraphCallbackManager:
    """``get_sync_graph_callback_manager_for_config`` for asynchronous runs.

    Raises:
        TypeError: The callbacks are no handler, list of handlers or manager.
    """
    return _AsyncGraphCallbackManager.configure(config.get("callbacks"), run_id=run_id)
