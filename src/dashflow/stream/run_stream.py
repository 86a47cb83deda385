"""Run streams: a run of a graph, driven by whoever reads its projections. May not know how graphs run."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any

from dashflow.stream.event import ProtocolEvent, protocol_event
from dashflow.stream.interleave import interleave
from dashflow.stream.mux import StreamMux
from dashflow.stream.payload import LifecyclePayload, SubgraphStatus
from dashflow.stream.stream_channel import StreamChannel

if TYPE_CHECKING:
    from langchain_core.language_models.chat_model_stream import AsyncChatModelStream, ChatModelStream

__all__ = ("AsyncGraphRunStream", "AsyncSubgraphRunStream", "GraphRunStream", "SubgraphRunStream")

_logger = logging.getLogger(__name__)


class _RunStream:
    """What sync and async runs have in common: projections as attributes, and the last state seen."""

    # There if the transformer is registered: a built-in kind, or one given to `compile` or the call.
    values: StreamChannel[dict[str, Any]]
    lifecycle: StreamChannel[LifecyclePayload]
    updates: StreamChannel[dict[str, Any]]
    custom: StreamChannel[Any]
    checkpoints: StreamChannel[dict[str, Any]]
    debug: StreamChannel[dict[str, Any]]
    tasks: StreamChannel[dict[str, Any]]

    def __init__(self, mux: StreamMux) -> None:
        self._mux = mux
        self.extensions: Mapping[str, Any] = MappingProxyType(mux.extensions)
        self._namespace = list(mux.scope)
        self._exhausted = False
        self._latest: Any = None
        self._interrupts: list[Any] = []
        for key in mux.native_keys:
            setattr(self, key, mux.extensions[key])

    def __getattr__(self, name: str) -> StreamChannel[Any]:
        """Only asked for what is not there: projections are plain attributes."""
        mux: StreamMux | None = self.__dict__.get("_mux")  # not there yet in a subclass's own __init__
        known = ", ".join(sorted(mux.native_keys)) if mux is not None else ""
        raise AttributeError(
            f"{type(self).__name__!r} object has no attribute {name!r} "
            f"(registered projections: {known or 'none'})"
        )

    def _observe_event(self, event: ProtocolEvent) -> None:
        """Remember the latest state and the open questions of this graph."""
        if event["method"] == "values" and event["params"]["namespace"] == self._namespace:
            self._latest = event["params"]["data"]
            self._interrupts.extend(event["params"].get("interrupts", ()))

    def _outcome(self) -> None:
        """Raise what the run failed with."""
        if self._mux._events._error is not None:
            raise self._mux._events._error


class GraphRunStream(_RunStream):
    """A synchronous run. Reading any projection, the run itself or ``output`` makes it go on.

    Each projection has one reader; ``projection.tee(n)`` gives several. Iterating the run yields its events.

    Args:
        graph_iter: The parts of ``stream(..., version="v2")``; None when something else drives the mux.
        mux: What the parts go through.
        wire_pump: Whether reading the mux's projections drives this run.

    Attributes:
        extensions: All projections by name; those of built-in kinds are attributes too.
    """

    messages: StreamChannel[ChatModelStream]
    subgraphs: StreamChannel[SubgraphRunStream]

    def __init__(self, graph_iter: Iterator[Any] | None, mux: StreamMux, *, wire_pump: bool = True) -> None:
        super().__init__(mux)
        self._graph_iter = graph_iter
        if wire_pump:
            mux.bind_pump(self._pump_next)

    def _pump_next(self) -> bool:
        """Take one part through the mux. False at the end, also when the run failed."""
        if self._exhausted or self._graph_iter is None:
            return False
        try:
            event = protocol_event(next(self._graph_iter))
            self._observe_event(event)
            self._mux.push(event)
        except StopIteration:
            self._exhausted = True
            self._mux.close()
            return False
        except Exception as error:  # every reader gets it from its channel
            self._exhausted = True
            self._mux.fail(error)
            return False
        return True

    def _finish(self) -> None:
        while self._pump_next():
            pass
        self._outcome()

    @property
    def output(self) -> Any:
        """Run to the end and return the last state. Raises what the run fails with."""
        self._finish()
        return self._latest

    @property
    def interrupted(self) -> bool:
        """Run to the end and tell whether somebody is asked. Raises what the run fails with."""
        return bool(self.interrupts)

    @property
    def interrupts(self) -> list[Any]:
        """Run to the end and return the open questions. Raises what the run fails with."""
        self._finish()
        return self._interrupts

    def abort(self) -> None:
        """Stop the run: close the graph's stream, which cancels what runs in it, and every projection."""
        if self._exhausted:
            return
        self._exhausted = True
        graph_iter, self._graph_iter = self._graph_iter, None
        for close in (getattr(graph_iter, "close", None), self._mux.close):
            if close is None:
                continue
            try:
                close()
            except Exception:
                _logger.exception("A part of an aborted run could not be closed")

    def __enter__(self) -> GraphRunStream:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.abort()

    def __iter__(self) -> Iterator[ProtocolEvent]:
        """The events of the run and of all its subgraphs."""
        return iter(self._mux._events)

    def interleave(self, *names: str) -> Iterator[tuple[str, Any]]:
        """Read several projections at once: ``(name, item)`` in the order in which they were pushed.

        The projections are taken until the iterator ends or is closed.

        Raises:
            KeyError: There is no projection of that name.
            TypeError: It is no channel, or one of an async run.
            RuntimeError: It has a reader.
        """
        return interleave({name: self.extensions[name] for name in names}, lambda: self._mux._pump_fn)


class AsyncGraphRunStream(_RunStream):
    """An asynchronous run: ``GraphRunStream`` with ``async for``; ``output`` and the like are coroutines.

    There is no task in the background: whoever waits for an item makes the run go on. Tasks that read
    different projections at the same time wait for the same step.

    Args:
        graph_aiter: The parts of ``astream(..., version="v2")``; None when something else drives the mux.
        mux: What the parts go through.
        wire_pump: Whether reading the mux's projections drives this run.

    Attributes:
        extensions: All projections by name; those of built-in kinds are attributes too.
    """

    messages: StreamChannel[AsyncChatModelStream]
    subgraphs: StreamChannel[AsyncSubgraphRunStream]

    def __init__(
        self, graph_aiter: AsyncIterator[Any] | None, mux: StreamMux, *, wire_pump: bool = True
    ) -> None:
        super().__init__(mux)
        self._graph_aiter = graph_aiter
        self._step: _Step | None = None
        # Every step is a task of its own; the graph's generator sees one context all the same.
        self._context = contextvars.copy_context()
        if wire_pump:
            mux.bind_apump(self._apump_next)

    async def _apump_next(self) -> bool:
        """Make a step, or wait for the one that is being made. False at the end, also when the run failed.

        A step belongs to all who wait for it: it is cancelled when the last of them is.
        """
        if self._exhausted or self._graph_aiter is None:
            return False
        step = self._step
        if step is None or step.task.done():
            step = self._step = _Step(self._advance(self._graph_aiter), self._context)
        step.waiting += 1
        try:
            await asyncio.wait((step.task,))
        except asyncio.CancelledError:
            if step.waiting == 1:
                await step.cancel()
            raise
        finally:
            step.waiting -= 1
        return not step.task.cancelled() and step.task.result()

    async def _advance(self, graph_aiter: AsyncIterator[Any]) -> bool:
        """Take one part through the mux."""
        try:
            event = protocol_event(await anext(graph_aiter))
            self._observe_event(event)
            await self._mux.apush(event)
        except StopAsyncIteration:
            self._exhausted = True
            await self._close()
            return False
        except Exception as error:  # every reader gets it from its channel
            self._exhausted = True
            await self._mux.afail(error)
            return False
        return True

    async def _close(self) -> None:
        try:
            await self._mux.aclose()
        except Exception as error:
            await self._mux.afail(error)  # for the readers of what is still open
            raise

    async def _finish(self) -> None:
        while await self._apump_next():
            pass
        self._outcome()

    async def output(self) -> Any:
        """Run to the end and return the last state. Raises what the run fails with."""
        await self._finish()
        return self._latest

    async def interrupted(self) -> bool:
        """Run to the end and tell whether somebody is asked. Raises what the run fails with."""
        return bool(await self.interrupts())

    async def interrupts(self) -> list[Any]:
        """Run to the end and return the open questions. Raises what the run fails with."""
        await self._finish()
        return self._interrupts

    async def abort(self) -> None:
        """Stop the run: cancel its step, close the graph's stream and every projection."""
        if self._exhausted:
            return
        self._exhausted = True
        graph_aiter, self._graph_aiter = self._graph_aiter, None
        if self._step is not None and self._step.task is not asyncio.current_task():
            await self._step.cancel()
        for aclose in (getattr(graph_aiter, "aclose", None), self._mux.aclose):
            if aclose is None:
                continue
            try:
                await aclose()
            except Exception:
                _logger.exception("A part of an aborted run could not be closed")

    async def __aenter__(self) -> AsyncGraphRunStream:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.abort()

    def __aiter__(self) -> AsyncIterator[ProtocolEvent]:
        """The events of the run and of all its subgraphs."""
        return aiter(self._mux._events)


class _Step:
    """One step of a run, and how many wait for it."""

    def __init__(self, work: Coroutine[Any, Any, bool], context: contextvars.Context) -> None:
        self.task = asyncio.get_running_loop().create_task(work, context=context)
        self.waiting = 0

    async def cancel(self) -> None:
        """Cancel it and wait until whatever runs in it has stopped."""
        self.task.cancel()
        await asyncio.wait((self.task,))


class _Subgraph:
    """What a subgraph's stream says of the subgraph. Read it when the parent hands it out, not later.

    Attributes:
        path: Its namespace.
        graph_name: The name of its agent, or of the node it runs in.
        trigger_call_id: Id of the task it runs in.
        status: What became of it so far.
        error: What it failed with, as text.
    """

    path: tuple[str, ...]
    graph_name: str | None
    trigger_call_id: str | None
    status: SubgraphStatus
    error: str | None

    def __init__(
        self,
        mux: StreamMux,
        *,
        path: tuple[str, ...],
        graph_name: str | None = None,
        trigger_call_id: str | None = None,
    ) -> None:
        super().__init__(None, mux, wire_pump=False)  # type: ignore[call-arg]  # the run's stream comes next
        self.path = path
        self.graph_name = graph_name
        self.trigger_call_id = trigger_call_id
        self.status = "started"
        self.error = None
        self._seen_terminal = False


class SubgraphRunStream(_Subgraph, GraphRunStream):
    """A subgraph of a synchronous run; reading it drives the run that it is part of.

    Args:
        mux: The subgraph's own mux, made by its parent's.
        path: See ``path``.
        graph_name: See ``graph_name``.
        trigger_call_id: See ``trigger_call_id``.
    """

    def _pump_next(self) -> bool:
        pump = self._mux._pump_fn
        if self._exhausted or self._seen_terminal or self._mux.closed or pump is None:
            return False
        return pump()


class AsyncSubgraphRunStream(_Subgraph, AsyncGraphRunStream):
    """``SubgraphRunStream`` of an asynchronous run.

    Args:
        mux: The subgraph's own mux, made by its parent's.
        path: See ``path``.
        graph_name: See ``graph_name``.
        trigger_call_id: See ``trigger_call_id``.
    """

    async def _apump_next(self) -> bool:
        pump = self._mux._apump_fn
        if self._exhausted or self._seen_terminal or self._mux.closed or pump is None:
            return False
        return await pump()
