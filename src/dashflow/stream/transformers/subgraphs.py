"""SubgraphTransformer: a stream for every subgraph, with projections of its own.

Whatever sync and async runs have in common is one ``async def`` here; in a sync run it never suspends.
"""

from __future__ import annotations

import logging
from typing import Any

from dashflow._util.drive import drive
from dashflow.stream.event import ProtocolEvent
from dashflow.stream.mux import StreamMux
from dashflow.stream.payload import SubgraphStatus
from dashflow.stream.run_stream import AsyncSubgraphRunStream, SubgraphRunStream
from dashflow.stream.stream_channel import StreamChannel
from dashflow.stream.transformers.tracker import SubgraphTracker, status_of_error

__all__ = ("SubgraphTransformer",)

_logger = logging.getLogger(__name__)

Handle = SubgraphRunStream | AsyncSubgraphRunStream


class SubgraphTransformer(SubgraphTracker):
    """``run.subgraphs``: a stream for each subgraph that starts, which has ``values``, ``messages``,
    ``subgraphs`` and so on for that graph. A subgraph's own subgraphs are in its own ``subgraphs``.

    Args:
        scope: Namespace of the graph whose subgraphs are followed.
    """

    _native = True
    supports_sync = True

    def __init__(self, scope: tuple[str, ...] = ()) -> None:
        super().__init__(scope)
        self._log: StreamChannel[Handle] = StreamChannel()
        self._handles: dict[tuple[str, ...], Handle] = {}
        self._mux: StreamMux | None = None

    def init(self) -> dict[str, Any]:
        """The channel ``subgraphs``."""
        return {"subgraphs": self._log}

    def _on_register(self, mux: StreamMux) -> None:
        self._mux = mux

    def _should_track(self, ns: tuple[str, ...]) -> bool:
        return len(ns) == len(self.scope) + 1 and ns[:-1] == self.scope

    def _on_started(self, ns: tuple[str, ...], graph_name: str | None, trigger_call_id: str | None) -> None:
        if self._mux is None or not self._mux.nests:
            return
        child = self._mux._make_child(ns)
        kind = AsyncSubgraphRunStream if child.is_async else SubgraphRunStream
        handle = kind(child, path=ns, graph_name=graph_name, trigger_call_id=trigger_call_id)
        self._handles[ns] = handle
        self._log.push(handle)

    def _on_terminal(self, ns: tuple[str, ...], status: SubgraphStatus, error: str | None) -> None:
        drive(self._end(ns, status, error, False))

    # -- events -------------------------------------------------------------------------------

    def process(self, event: ProtocolEvent) -> bool:
        """Follow subgraphs, and hand each what belongs to it."""
        return drive(self._route(event, False))

    async def aprocess(self, event: ProtocolEvent) -> bool:
        """``process`` in async runs."""
        return await self._route(event, True)

    async def _route(self, event: ProtocolEvent, wait: bool) -> bool:
        keep = event["method"] != "tasks"
        if not keep:
            for ns, status, error in self._follow(event):
                await self._end(ns, status, error, wait)
        # Only now, so that a subgraph's stream also gets the event that it started with.
        handle = self._handles.get(tuple(event["params"]["namespace"][: len(self.scope) + 1]))
        if handle is not None and not handle._mux.closed:
            handle._observe_event(event)
            await handle._mux.apush(event) if wait else handle._mux.push(event)
        return keep

    # -- the end ------------------------------------------------------------------------------

    async def _end(self, ns: tuple[str, ...], status: SubgraphStatus, error: str | None, wait: bool) -> None:
        """A subgraph ended; what comes later changes nothing."""
        handle = self._handles.get(ns)
        if handle is None or handle._seen_terminal:
            return
        _conclude(handle, status, error)
        mux = handle._mux
        if mux.closed:
            return
        if status == "failed":
            failure = RuntimeError(error or "Subgraph failed")
            await mux.afail(failure) if wait else mux.fail(failure)
        else:
            await mux.aclose() if wait else mux.close()

    def finalize(self) -> None:
        """All subgraphs that are still open are complete.

        Raises:
            The first error of closing one, when all have been closed.
        """
        drive(self._complete(False))

    async def afinalize(self) -> None:
        """``finalize`` in async runs."""
        await self._complete(True)

    async def _complete(self, wait: bool) -> None:
        first: BaseException | None = None
        self._open.clear()
        for ns in self._handles:
            try:
                await self._end(ns, "completed", None, wait)
            except BaseException as error:
                first = error if first is None else first
        if first is not None:
            raise first

    def fail(self, err: BaseException) -> None:
        """All subgraphs that are still open fail as the run does."""
        drive(self._fail(err, False))

    async def afail(self, err: BaseException) -> None:
        """``fail`` in async runs."""
        await self._fail(err, True)

    async def _fail(self, err: BaseException, wait: bool) -> None:
        self._open.clear()
        for handle in self._handles.values():
            if not handle._seen_terminal:
                _conclude(handle, *status_of_error(err))
            if handle._mux.closed:
                continue
            try:
                await handle._mux.afail(err) if wait else handle._mux.fail(err)
            except Exception:
                _logger.exception("The stream of the subgraph at %s could not be ended", handle.path)


def _conclude(handle: Handle, status: SubgraphStatus, error: str | None) -> None:
    handle.status = status
    handle.error = error
    handle._seen_terminal = True
