"""StreamMux: takes a run's events through its transformers and into its log.

May not know where events come from.
Whatever sync and async runs have in common is one ``async def`` here; in a sync run it never suspends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from dashflow._util.drive import drive
from dashflow.stream.event import ProtocolEvent, new_event
from dashflow.stream.stream_channel import StreamChannel
from dashflow.stream.transformer import StreamTransformer, transformer_requires_async

__all__ = ("StreamMux", "TransformerFactory")

_logger = logging.getLogger(__name__)

TransformerFactory: TypeAlias = Callable[[tuple[str, ...]], StreamTransformer]
"""Makes a transformer for a scope. Called once for the run and once for each of its subgraphs."""


class StreamMux:
    """The transformers of one scope, their projections, and the log of events that they let through.

    Transformers with ``before_builtins`` run first; otherwise they run in the order given, those of
    ``factories`` before ``transformers``.

    Args:
        transformers: Used in this scope only.
        is_async: Whether projections are read with ``async for``.
        factories: Make the transformers of this scope, and of every subgraph's.
        scope: The namespace of the graph.
        _assign_seq: False in the mux of a subgraph, whose events its parent numbers.

    Attributes:
        is_async: See above.
        scope: See above.
        extensions: All projections by name; read only.
        native_keys: Names of the projections that become attributes of the run stream.

    Raises:
        RuntimeError: A transformer needs an async run.
        TypeError: A transformer's ``init`` returns no dict.
        ValueError: Two transformers have a projection of the same name.
    """

    def __init__(
        self,
        transformers: Sequence[StreamTransformer] | None = None,
        *,
        is_async: bool = False,
        factories: Sequence[TransformerFactory] | None = None,
        scope: tuple[str, ...] = (),
        _assign_seq: bool = True,
    ) -> None:
        self.is_async = is_async
        self.scope = scope
        self.extensions: dict[str, Any] = {}
        self.native_keys: set[str] = set()
        self._assign_seq = _assign_seq
        self._seq = 0
        self._pushed = 0
        self._pump_fn: Callable[[], bool] | None = None
        self._apump_fn: Callable[[], Awaitable[bool]] | None = None
        self._factories = None if factories is None else tuple(factories)
        self._owners: dict[str, StreamTransformer] = {}
        self._transformers: list[StreamTransformer] = []
        self._channels: list[StreamChannel[Any]] = []
        self._events: StreamChannel[ProtocolEvent] = StreamChannel()
        self._events._bind(is_async=is_async, stamp=self._next_stamp)
        for group in ([make(scope) for make in self._factories or ()], transformers or ()):
            # sorted() is stable: the order within "before" and "after" stays.
            for transformer in sorted(group, key=lambda each: not each.before_builtins):
                self._register(transformer)

    # -- setting up ---------------------------------------------------------------------------

    def transformer_by_key(self, key: str) -> StreamTransformer | None:
        """Which transformer a projection comes from."""
        return self._owners.get(key)

    @property
    def closed(self) -> bool:
        """Whether the log has ended."""
        return self._events._closed

    @property
    def nests(self) -> bool:
        """Whether subgraphs can have a mux of their own: there is something to make their transformers."""
        return self._factories is not None

    def _register(self, transformer: StreamTransformer) -> None:
        kind = type(transformer).__name__
        if transformer_requires_async(transformer) and not self.is_async:
            raise RuntimeError(
                f"{kind} requires an async run: it overrides aprocess, afinalize or afail, or sets "
                "requires_async = True. Use astream_events(), not stream_events()."
            )
        projections = transformer.init()
        if not isinstance(projections, dict):
            raise TypeError(
                f"StreamTransformer.init() must return a dict, got {type(projections).__name__} from {kind}"
            )
        if taken := sorted(projections.keys() & self._owners.keys()):
            owned = ", ".join(f"{key!r} (owned by {type(self._owners[key]).__name__})" for key in taken)
            raise ValueError(
                f"Transformer {kind} returned projection keys that conflict with already-registered "
                f"keys: {owned}"
            )
        native = bool(getattr(transformer, "_native", False))
        for channel in projections.values():
            if isinstance(channel, StreamChannel):
                self._adopt(channel, native)
        self._transformers.append(transformer)
        self.extensions.update(projections)
        self._owners.update(dict.fromkeys(projections, transformer))
        if native:
            self.native_keys.update(projections)
        transformer._on_register(self)

    def _adopt(self, channel: StreamChannel[Any], native: bool) -> None:
        channel._bind(is_async=self.is_async, stamp=self._next_stamp)
        self._channels.append(channel)
        if channel.name is None:
            return
        method = channel.name if native else f"custom:{channel.name}"
        # Straight into the log: through the transformers it would come back to the one who pushed it.
        channel._wire(lambda item: self._log(new_event(method, [], item)))

    def _next_stamp(self) -> int:
        """Numbers what is pushed to any channel of this mux, so that they can be read in one order."""
        self._pushed += 1
        return self._pushed

    def bind_pump(self, fn: Callable[[], bool]) -> None:
        """Let every projection drive the run with ``fn`` (True: something happened)."""
        self._pump_fn = fn
        for channel in (self._events, *self._channels):
            channel._request_more = fn
        self._tell_pump("_bind_pump", fn)

    def bind_apump(self, fn: Callable[[], Awaitable[bool]]) -> None:
        """``bind_pump`` for async runs."""
        self._apump_fn = fn
        for channel in (self._events, *self._channels):
            channel._arequest_more = fn
        self._tell_pump("_bind_apump", fn)

    def _tell_pump(self, method: str, fn: Callable[[], Any]) -> None:
        """Tell the transformers that hand out streams of their own, which must drive the run as well."""
        for transformer in self._transformers:
            if (bind := getattr(transformer, method, None)) is not None:
                bind(fn)

    def _make_child(self, scope: tuple[str, ...]) -> StreamMux:
        """A mux for a subgraph, with transformers of its own; reading its projections drives the same run.

        Raises:
            RuntimeError: This mux has no factories.
        """
        if self._factories is None:
            raise RuntimeError(
                "StreamMux._make_child requires the mux to be constructed with `factories=`: "
                "finished transformers cannot be copied to another scope."
            )
        child = StreamMux(factories=self._factories, is_async=self.is_async, scope=scope, _assign_seq=False)
        if self._pump_fn is not None:
            child.bind_pump(self._pump_fn)
        if self._apump_fn is not None:
            child.bind_apump(self._apump_fn)
        return child

    # -- events -------------------------------------------------------------------------------

    def push(self, event: ProtocolEvent) -> None:
        """Show an event to every transformer, then log it unless one of them objects.

        ``seq`` is given when the event is logged: what transformers pushed because of it comes before it.
        """
        drive(self._route(event, False))

    async def apush(self, event: ProtocolEvent) -> None:
        """``push`` in async runs: each transformer waits for the one before."""
        await self._route(event, True)

    async def _route(self, event: ProtocolEvent, wait: bool) -> None:
        keep = True
        for transformer in self._transformers:
            kept = await transformer.aprocess(event) if wait else transformer.process(event)
            keep = keep and bool(kept)
        if keep:
            self._log(event)

    def _log(self, event: ProtocolEvent) -> None:
        if self._assign_seq:
            self._seq += 1
            event["seq"] = self._seq
        self._events.push(event)

    # -- the end ------------------------------------------------------------------------------

    def close(self) -> None:
        """The run came to its end: finalize every transformer, then close every channel and the log.

        Raises:
            The first error of a ``finalize``, when everything has been closed.
        """
        drive(self._close(False))

    async def aclose(self) -> None:
        """``close`` in async runs; first waits for scheduled work.

        Raises:
            The first error of scheduled work that was to raise it (nothing is closed then: the run fails),
            or of an ``afinalize``.
        """
        if work := self._scheduled():
            for result in await asyncio.gather(*work, return_exceptions=True):
                if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
                    raise result
        await self._close(True)

    async def _close(self, wait: bool) -> None:
        first: BaseException | None = None
        for transformer in self._transformers:
            try:
                await transformer.afinalize() if wait else transformer.finalize()
            except BaseException as error:
                first = error if first is None else first
        for channel in (*self._channels, self._events):
            channel.close()
        if first is not None:
            raise first

    def fail(self, err: BaseException) -> None:
        """The run failed: tell every transformer, then let every channel and the log end with ``err``."""
        drive(self._fail(err, False))

    async def afail(self, err: BaseException) -> None:
        """``fail`` in async runs; first cancels scheduled work."""
        work = self._scheduled()
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        await self._fail(err, True)

    async def _fail(self, err: BaseException, wait: bool) -> None:
        for transformer in self._transformers:
            try:
                await transformer.afail(err) if wait else transformer.fail(err)
            except Exception:
                _logger.exception("%s could not be told that the run failed", type(transformer).__name__)
        for channel in (*self._channels, self._events):
            if not channel._closed:
                channel.fail(err)

    def _scheduled(self) -> list[asyncio.Task[Any]]:
        return [task for transformer in self._transformers for task in tuple(transformer._scheduled)]
