"""A run on a server, followed by the v3 protocol: LangGraph's SDK with the surface of a local run stream.

May import ``langgraph_sdk`` inside functions only.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

from dashflow.types.commands import Command

__all__ = ("AsyncRemoteRunStream", "RemoteRunStream", "wire_input")

_LOG = logging.getLogger(__name__)
_TYPED = ("values", "messages", "tool_calls", "subgraphs")
"""Projections that the SDK has under these names."""
_DECODED = ("updates", "checkpoints", "tasks", "custom")
"""Channels of the protocol that the SDK has no projection for."""


def wire_input(given: Any) -> Any:
    """The input as the server takes it: of a command, its answer; the thread's state says that it is one.

    Raises:
        NotImplementedError: The command goes somewhere or changes the state.
    """
    if not isinstance(given, Command):
        return given
    if given.goto or given.update:
        raise NotImplementedError(
            "RemoteGraph v3 streaming supports `Command(resume=...)` only; "
            "`goto` / `update` are not supported by the v3 `run.start` path."
        )
    return given.resume


class ChannelProjection:
    """The data of a channel's events, decoded as the SDK decodes its own projections.

    Args:
        sdk: The SDK's stream, sync or async; it must have been entered before this is iterated over.
        channel: The channel.
    """

    def __init__(self, sdk: Any, channel: str) -> None:
        self._sdk = sdk
        self._channel = channel

    def _decoder(self) -> Any:
        from langgraph_sdk.stream.decoders import DataDecoder

        return DataDecoder(self._channel)

    def __iter__(self) -> Iterator[Any]:
        decoder = self._decoder()
        for event in self._sdk.subscribe([self._channel]):
            yield from decoder.feed(event)

    async def __aiter__(self) -> AsyncIterator[Any]:
        decoder = self._decoder()
        async for event in self._sdk.subscribe([self._channel]):
            for item in decoder.feed(event):
                yield item


class Projections(Mapping[str, Any]):
    """Projections by name; a name that is none of the protocol's is a custom channel of the graph."""

    def __init__(self, sdk: Any) -> None:
        self._sdk = sdk

    def __getitem__(self, name: str) -> Any:
        if name in _TYPED:
            return getattr(self._sdk, name)
        if name in _DECODED:
            return ChannelProjection(self._sdk, name)
        return self._sdk.extensions[name]

    def __iter__(self) -> Iterator[str]:
        return iter((*_TYPED, *_DECODED))

    def __len__(self) -> int:
        return len(_TYPED) + len(_DECODED)


class _RunStream:
    """What both streams have: the run to start, and its projections.

    Args:
        client: The SDK's client.
        sdk_thread: The SDK's stream of the thread.
        input: The run's input.
        config: Its config, sanitized.
        metadata: Its metadata.
    """

    def __init__(
        self,
        *,
        client: Any,
        sdk_thread: Any,
        input: Any,  # noqa: A002  # LangGraph's name
        config: Mapping[str, Any] | None,
        metadata: Mapping[str, Any] | None,
    ) -> None:
        self._client = client
        self._sdk = sdk_thread
        self._start = {"input": wire_input(input), "config": config, "metadata": metadata}
        self._run_id: str | None = None
        self._closed = False
        self._events: Any = None

    def _open(self) -> None:
        if self._closed:
            raise RuntimeError("This run stream is closed already; start another one.")

    @property
    def values(self) -> Any:
        """The state, whenever it changes."""
        return self._sdk.values

    @property
    def messages(self) -> Any:
        """Messages, as they are written."""
        return self._sdk.messages

    @property
    def subgraphs(self) -> Any:
        """Graphs that run inside."""
        return self._sdk.subgraphs

    @property
    def tool_calls(self) -> Any:
        """Executions of tools."""
        return self._sdk.tool_calls

    @property
    def extensions(self) -> Mapping[str, Any]:
        """All projections, by name."""
        return Projections(self._sdk)


class RemoteRunStream(_RunStream):
    """A run for synchronous callers; it starts on entering and is iterated over for its events."""

    def __enter__(self) -> Self:
        self._open()
        self._sdk.__enter__()
        try:
            self._run_id = self._sdk.run.start(**self._start)["run_id"]
        except BaseException:
            self._sdk.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._closed:
            self._closed = True
            self._sdk.__exit__(kind, error, trace)

    def __iter__(self) -> Iterator[Any]:
        if self._events is None:
            self._events = iter(self._sdk.events)
        events: Iterator[Any] = self._events
        return events

    @property
    def output(self) -> Any:
        """The final state; waits for it."""
        return self._sdk.output

    @property
    def interrupted(self) -> bool:
        """Whether the run waits for an answer at this moment; does not wait."""
        return bool(self._sdk.interrupted)

    @property
    def interrupts(self) -> list[Any]:
        """The questions that are open at this moment; does not wait."""
        return list(self._sdk.interrupts)

    def interleave(self, *names: str) -> Iterator[tuple[str, Any]]:
        """Pairs of name and item of several projections, in the order in which they arrive."""
        yield from self._sdk.interleave_projections(list(names))

    def abort(self) -> None:
        """Cancel the run on the server, if it was started, and close the stream."""
        if self._closed:
            return
        self._closed = True
        if self._run_id is not None:
            try:
                self._client.runs.cancel(self._sdk.thread_id, self._run_id, wait=False)
            except Exception:  # the stream is closed all the same
                _LOG.warning("Run %s could not be cancelled.", self._run_id, exc_info=True)
        try:
            self._sdk.close()
        except Exception:  # whoever gives up on a run has no use for this
            _LOG.warning("The stream of run %s could not be closed.", self._run_id, exc_info=True)


class AsyncRemoteRunStream(_RunStream):
    """A run for asyncio callers; it starts on entering and is iterated over for its events."""

    async def __aenter__(self) -> Self:
        self._open()
        await self._sdk.__aenter__()
        try:
            self._run_id = (await self._sdk.run.start(**self._start))["run_id"]
        except BaseException:
            await self._sdk.__aexit__(*sys.exc_info())
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._closed:
            self._closed = True
            await self._sdk.__aexit__(kind, error, trace)

    def __aiter__(self) -> AsyncIterator[Any]:
        if self._events is None:
            self._events = aiter(self._sdk.events)
        events: AsyncIterator[Any] = self._events
        return events

    async def output(self) -> Any:
        """The final state; waits for it."""
        return await self._sdk.output

    async def interrupted(self) -> bool:
        """Whether the run waits for an answer at this moment; does not wait."""
        return bool(self._sdk.interrupted)

    async def interrupts(self) -> list[Any]:
        """The questions that are open at this moment; does not wait."""
        return list(self._sdk.interrupts)

    async def abort(self) -> None:
        """Cancel the run on the server, if it was started, and close the stream."""
        if self._closed:
            return
        self._closed = True
        if self._run_id is not None:
            try:
                await self._client.runs.cancel(self._sdk.thread_id, self._run_id, wait=False)
            except Exception:  # the stream is closed all the same
                _LOG.warning("Run %s could not be cancelled.", self._run_id, exc_info=True)
        try:
            await self._sdk.close()
        except Exception:  # whoever gives up on a run has no use for this
            _LOG.warning("The stream of run %s could not be closed.", self._run_id, exc_info=True)
