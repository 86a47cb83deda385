"""StreamTransformer: the base of everything that makes a projection out of a run's events.

May not know the mux: who runs transformers and waits for their tasks is ``dashflow.stream.mux``.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from typing import Any, ClassVar, Literal

from dashflow.stream.event import ProtocolEvent

__all__ = ("StreamTransformer", "transformer_requires_async")

_logger = logging.getLogger(__name__)


class StreamTransformer(ABC):
    """Sees every event of a run (or of one of its subgraphs) and shows something made of them.

    Implement ``init`` and one of ``process`` and ``aprocess``. A transformer whose next one must wait for
    asynchronous work (it changes the event in place, say) overrides ``aprocess``; one whose work may finish
    later calls ``schedule``. Both only run in async runs.

    Args:
        scope: Namespace of the graph whose events it looks at; ``()`` for the run itself.

    Attributes:
        scope: See above.
        requires_async: It needs an event loop although it overrides no async method (it calls ``schedule``).
        supports_sync: It overrides async methods but does the same in sync runs without them.
        required_stream_modes: Which modes the graph must stream for it.
        before_builtins: It runs before the built-in transformers, so that what it changes in an event is what
            they show. It must not change a ``tasks`` event's namespace, id, result, error or interrupts.
        _native: Its projections are attributes of the run stream too, not only ``run.extensions`` items.
    """

    requires_async: ClassVar[bool] = False
    supports_sync: ClassVar[bool] = False
    required_stream_modes: ClassVar[tuple[str, ...]] = ()
    before_builtins: ClassVar[bool] = False

    def __init__(self, scope: tuple[str, ...] = ()) -> None:
        self.scope: tuple[str, ...] = scope

    @abstractmethod
    def init(self) -> dict[str, Any]:
        """Its projections by name. ``StreamChannel``s among them are opened and closed by the run."""

    # Overridden by those who care, so it is no abstract method.
    def _on_register(self, mux: Any) -> None:  # noqa: B027
        """It belongs to ``mux`` now (a ``StreamMux``)."""

    def process(self, event: ProtocolEvent) -> bool:
        """Look at an event, or change it, before it enters the run's log.

        Returns:
            False to keep it out of the log. The other transformers see it all the same.
        """
        raise NotImplementedError(f"{type(self).__name__} must override process() or aprocess()")

    async def aprocess(self, event: ProtocolEvent) -> bool:
        """``process`` in async runs; the next transformer waits for it."""
        return self.process(event)

    def finalize(self) -> None:  # noqa: B027  # most transformers have nothing to do here
        """The run came to its end. Channels are closed by themselves."""

    async def afinalize(self) -> None:
        """``finalize`` in async runs, when all scheduled work is done."""
        self.finalize()

    def fail(self, err: BaseException) -> None:  # noqa: B027  # see finalize
        """The run failed with ``err``. Channels fail by themselves."""

    async def afail(self, err: BaseException) -> None:
        """``fail`` in async runs, when all scheduled work has been cancelled."""
        self.fail(err)

    def schedule(
        self, coro: Coroutine[Any, Any, Any], *, on_error: Literal["log", "raise"] = "log"
    ) -> asyncio.Task[Any]:
        """Start work that the run waits for at its end, and cancels when it fails.

        Args:
            coro: The work.
            on_error: ``log`` its error and go on, or ``raise`` it at the end of the run, which then fails.

        Raises:
            RuntimeError: No event loop runs here.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError(
                f"{type(self).__name__}.schedule() requires a running event loop: it works in async runs "
                "only. Set requires_async = True on the class, so that a sync run refuses it at its start."
            ) from None
        task = loop.create_task(_logged(coro) if on_error == "log" else coro)
        tasks = self._scheduled
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return task

    @property
    def _scheduled(self) -> set[asyncio.Task[Any]]:
        """Its running tasks. Made here, since a subclass may not call ``super().__init__()``."""
        tasks: set[asyncio.Task[Any]] = self.__dict__.setdefault("_scheduled_tasks", set())
        return tasks


async def _logged(coro: Coroutine[Any, Any, Any]) -> Any:
    try:
        return await coro
    except Exception:
        _logger.exception("Scheduled StreamTransformer task failed")


_ASYNC_METHODS = ("aprocess", "afinalize", "afail")


def transformer_requires_async(transformer: StreamTransformer) -> bool:
    """Whether a transformer can only run in async runs."""
    if transformer.requires_async or transformer.supports_sync:
        return transformer.requires_async
    kind = type(transformer)
    return any(getattr(kind, name) is not getattr(StreamTransformer, name) for name in _ASYNC_METHODS)
