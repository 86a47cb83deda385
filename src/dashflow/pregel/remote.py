"""RemoteGraph: a graph on a LangGraph Server, used like one that runs here, also as a node of one.

The server is talked to by LangGraph's SDK (``langgraph_sdk``), which is imported when a client is made. Sync
and async methods stand side by side; what they send and make of answers is in ``remote_wire`` and
``remote_stream``.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from dashflow.options import merge_configs
from dashflow.pregel.face import borrow
from dashflow.pregel.protocol import PregelProtocol
from dashflow.pregel.remote_run_stream import AsyncRemoteRunStream, RemoteRunStream
from dashflow.pregel.remote_stream import RemoteException, RemoteStream
from dashflow.pregel.remote_wire import checkpoint_of, config_of, drawing_of, sanitized, snapshot_of
from dashflow.types.snapshots import GraphOutput, StateSnapshot

if TYPE_CHECKING:
    from langchain_core.runnables.graph import Graph

__all__ = ("RemoteException", "RemoteGraph")

_LOG = logging.getLogger(__name__)
Config = Mapping[str, Any]
Params = Mapping[str, Any]
Headers = dict[str, str]
Stops = Sequence[str] | str
_V3_KWARGS = frozenset({"headers", "metadata"})


class RemoteGraph(PregelProtocol[Any, Any, Any, Any]):
    """A graph on a server.

    Args:
        assistant_id: The assistant's id, or the graph's name.
        url: The server; makes the clients that are not given.
        api_key: For these clients; else taken from the environment by the SDK.
        headers: For these clients.
        client: The SDK's client for asyncio callers.
        sync_client: The SDK's client for synchronous callers.
        config: Defaults for every run's config.
        name: For people, and as a node; the assistant's id unless given.
        distributed_tracing: Send LangSmith's tracing headers along.

    Every method takes ``headers`` and ``params`` for its request where the SDK does. What the SDK raises
    is raised; a method whose client there is none of raises ``ValueError``.
    """

    def __init__(
        self,
        assistant_id: str,
        /,
        *,
        url: str | None = None,
        api_key: str | None = None,
        headers: Headers | None = None,
        client: Any = None,
        sync_client: Any = None,
        config: Config | None = None,
        name: str | None = None,
        distributed_tracing: bool = False,
    ) -> None:
        self.assistant_id = assistant_id
        self.name = assistant_id if name is None else name
        self.config = config
        self.distributed_tracing = distributed_tracing
        if url is not None:
            from langgraph_sdk.client import get_client, get_sync_client

            client = client or get_client(url=url, api_key=api_key, headers=headers)
            sync_client = sync_client or get_sync_client(url=url, api_key=api_key, headers=headers)
        self.client = client
        self.sync_client = sync_client

    def copy(self, update: Mapping[str, Any] | None = None) -> Self:
        """A copy with some attributes changed."""
        attributes = {**vars(self), **(update or {})}
        return type(self)(attributes.pop("assistant_id"), **attributes)

    def with_config(self, config: Config | None = None, **kwargs: Any) -> Self:
        """A copy with other defaults for its runs' config."""
        return self.copy({"config": merge_configs(self.config, config, kwargs)})

    # -- looking and editing ------------------------------------------------------------------

    def get_graph(
        self,
        config: Config | None = None,
        *,
        xray: int | bool = False,
        headers: Headers | None = None,
        params: Params | None = None,
    ) -> Graph:
        """The graph as LangChain draws graphs; ``xray``: with the graphs in its nodes, so many levels."""
        assistants = self._sync().assistants
        return drawing_of(assistants.get_graph(self.assistant_id, xray=xray, headers=headers, params=params))

    async def aget_graph(
        self,
        config: Config | None = None,
        *,
        xray: int | bool = False,
        headers: Headers | None = None,
        params: Params | None = None,
    ) -> Graph:
        """``get_graph`` for asyncio callers."""
        assistants = self._async().assistants
        return drawing_of(
            await assistants.get_graph(self.assistant_id, xray=xray, headers=headers, params=params)
        )

    def get_state(
        self,
        config: Config,
        *,
        subgraphs: bool = False,
        headers: Headers | None = None,
        params: Params | None = None,
    ) -> StateSnapshot:
        """The thread's latest state, or the one at ``checkpoint_id``."""
        threads, place = self._sync().threads, self._place(config)
        return snapshot_of(threads.get_state(**place, subgraphs=subgraphs, headers=headers, params=params))

    async def aget_state(
        self,
        config: Config,
        *,
        subgraphs: bool = False,
        headers: Headers | None = None,
        params: Params | None = None,
    ) -> StateSnapshot:
        """``get_state`` for asyncio callers."""
        threads, place = self._async().threads, self._place(config)
        return snapshot_of(
            await threads.get_state(**place, subgraphs=subgraphs, headers=headers, params=params)
        )

    def get_state_history(
        self,
        config: Config,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002  # LangGraph's name
        before: Config | None = None,
        limit: int | None = None,
        headers: Headers | None = None,
        params: Params | None = None,
    ) -> Iterator[StateSnapshot]:
        """States of the thread, newest first; 10 unless ``limit`` says otherwise."""
        search = self._search(config, filter, before, limit)
        yield from map(
            snapshot_of, self._sync().threads.get_history(**search, headers=headers, params=params)
        )

    async def aget_state_history(
        self,
        config: Config,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002  # LangGraph's name
        before: Config | None = None,
        limit: int | None = None,
        headers: Headers | None = None,
        params: Params | None = None,
    ) -> AsyncIterator[StateSnapshot]:
        """``get_state_history`` for asyncio callers."""
        search = self._search(config, filter, before, limit)
        for state in await self._async().threads.get_history(**search, headers=headers, params=params):
            yield snapshot_of(state)

    def update_state(
        self,
        config: Config,
        values: Any,
        as_node: str | None = None,
        *,
        headers: Headers | None = None,
        params: Params | None = None,
    ) -> dict[str, Any]:
        """Change the thread's state as if ``as_node`` had returned ``values``; returns the new checkpoint's
        config."""
        change = {**self._place(config), "values": values, "as_node": as_node}
        answer = self._sync().threads.update_state(**change, headers=headers, params=params)
        return config_of(answer["checkpoint"])

    async def aupdate_state(
        self,
        config: Config,
        values: Any,
        as_node: str | None = None,
        *,
        headers: Headers | None = None,
        params: Params | None = None,
    ) -> dict[str, Any]:
        """``update_state`` for asyncio callers."""
        change = {**self._place(config), "values": values, "as_node": as_node}
        answer = await self._async().threads.update_state(**change, headers=headers, params=params)
        return config_of(answer["checkpoint"])

    def bulk_update_state(self, config: Config, updates: Sequence[Sequence[Any]]) -> dict[str, Any]:
        """Not offered by servers.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError("A server takes one update at a time: call update_state for each.")

    async def abulk_update_state(self, config: Config, updates: Sequence[Sequence[Any]]) -> dict[str, Any]:
        """Not offered by servers.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError("A server takes one update at a time: call aupdate_state for each.")

    # -- running ------------------------------------------------------------------------------

    def stream(
        self,
        input: Any,  # noqa: A002  # LangGraph's name
        config: Config | None = None,
        *,
        context: Any = None,
        stream_mode: Any = None,
        interrupt_before: Stops | None = None,
        interrupt_after: Stops | None = None,
        subgraphs: bool = False,
        headers: Headers | None = None,
        params: Params | None = None,
        version: str = "v1",
        **kwargs: Any,
    ) -> Iterator[Any]:
        """Run the graph and yield what happens; ``kwargs`` go to the SDK's ``runs.stream``.

        Raises:
            RemoteException: The graph failed.
            GraphInterrupt: It asks, and is a node of a graph here.
        """
        client = self._sync()
        run = RemoteStream(config, stream_mode, subgraphs, version)
        request = self._request(run, input, config, headers)
        for chunk in client.runs.stream(
            **request,
            context=context,
            interrupt_before=interrupt_before,
            interrupt_after=interrupt_after,
            params=params,
            **kwargs,
        ):
            yield from run.read(chunk)

    async def astream(
        self,
        input: Any,  # noqa: A002  # LangGraph's name
        config: Config | None = None,
        *,
        context: Any = None,
        stream_mode: Any = None,
        interrupt_before: Stops | None = None,
        interrupt_after: Stops | None = None,
        subgraphs: bool = False,
        headers: Headers | None = None,
        params: Params | None = None,
        version: str = "v1",
        **kwargs: Any,
    ) -> AsyncIterator[Any]:
        """``stream`` for asyncio callers."""
        client = self._async()
        run = RemoteStream(config, stream_mode, subgraphs, version)
        request = self._request(run, input, config, headers)
        async for chunk in client.runs.stream(
            **request,
            context=context,
            interrupt_before=interrupt_before,
            interrupt_after=interrupt_after,
            params=params,
            **kwargs,
        ):
            for part in run.read(chunk):
                yield part

    def invoke(
        self,
        input: Any,  # noqa: A002  # LangGraph's name
        config: Config | None = None,
        *,
        context: Any = None,
        interrupt_before: Stops | None = None,
        interrupt_after: Stops | None = None,
        **kwargs: Any,
    ) -> Any:
        """Run the graph to its end or to the next question; ``kwargs`` as for ``stream``.

        Returns:
            The last state; None when there was none; a ``GraphOutput`` with ``version="v2"``.
        """
        last: Any = None
        for part in self.stream(
            input,
            config,
            context=context,
            interrupt_before=interrupt_before,
            interrupt_after=interrupt_after,
            stream_mode="values",
            **kwargs,
        ):
            last = part
        return _output(last, kwargs.get("version"))

    async def ainvoke(
        self,
        input: Any,  # noqa: A002  # LangGraph's name
        config: Config | None = None,
        *,
        context: Any = None,
        interrupt_before: Stops | None = None,
        interrupt_after: Stops | None = None,
        **kwargs: Any,
    ) -> Any:
        """``invoke`` for asyncio callers."""
        last: Any = None
        async for part in self.astream(
            input,
            config,
            context=context,
            interrupt_before=interrupt_before,
            interrupt_after=interrupt_after,
            stream_mode="values",
            **kwargs,
        ):
            last = part
        return _output(last, kwargs.get("version"))

    def stream_events(
        self,
        input: Any,  # noqa: A002  # LangGraph's name
        config: Config | None = None,
        *,
        version: str = "v2",
        headers: Headers | None = None,
        **kwargs: Any,
    ) -> Any:
        """With ``version="v3"`` a ``RemoteRunStream``, to be entered; else what LangChain's Runnables do.

        Raises:
            NotImplementedError: An argument that servers do not take.
        """
        if version != "v3":
            return borrow(self, "stream_events")(input, config, version=version, **kwargs)
        _check_v3(kwargs)
        client, sent = self._sync(), sanitized(merge_configs(self.config, config))
        thread = client.threads.stream(**self._thread(sent, headers))
        return RemoteRunStream(
            client=client, sdk_thread=thread, input=input, config=sent, metadata=kwargs.get("metadata")
        )

    async def astream_events(
        self,
        input: Any,  # noqa: A002  # LangGraph's name
        config: Config | None = None,
        *,
        version: str = "v2",
        headers: Headers | None = None,
        **kwargs: Any,
    ) -> Any:
        """With ``version="v3"`` an ``AsyncRemoteRunStream``, to be awaited and entered.

        Raises:
            NotImplementedError: Another version, or an argument that servers do not take.
        """
        if version != "v3":
            raise NotImplementedError(
                f"RemoteGraph.astream_events(version={version!r}) is not implemented; use astream() for "
                "v1/v2 streaming or version='v3'."
            )
        _check_v3(kwargs)
        client, sent = self._async(), sanitized(merge_configs(self.config, config))
        thread = client.threads.stream(**self._thread(sent, headers))
        return AsyncRemoteRunStream(
            client=client, sdk_thread=thread, input=input, config=sent, metadata=kwargs.get("metadata")
        )

    # -- inside -------------------------------------------------------------------------------

    def _async(self) -> Any:
        if self.client is None:
            raise ValueError(
                "Async client is not initialized: please provide `url` or `client` when initializing "
                "`RemoteGraph`."
            )
        return self.client

    def _sync(self) -> Any:
        if self.sync_client is None:
            raise ValueError(
                "Sync client is not initialized: please provide `url` or `sync_client` when initializing "
                "`RemoteGraph`."
            )
        return self.sync_client

    def _place(self, config: Config) -> dict[str, Any]:
        """Which thread, and which checkpoint of it."""
        merged = merge_configs(self.config, config)
        return {"thread_id": merged["configurable"]["thread_id"], "checkpoint": checkpoint_of(merged)}

    def _search(
        self, config: Config, matching: dict[str, Any] | None, before: Config | None, limit: int | None
    ) -> dict[str, Any]:
        return {
            **self._place(config),
            "limit": limit or 10,
            "before": checkpoint_of(before),
            "metadata": matching,
        }

    def _thread(self, sent: dict[str, Any], headers: Headers | None) -> dict[str, Any]:
        """Whose run it is; the thread's id is taken out of the config that is sent."""
        return {
            "thread_id": sent.get("configurable", {}).pop("thread_id", None),
            "assistant_id": self.assistant_id,
            "headers": _merge_tracing_headers(headers) if self.distributed_tracing else headers,
        }

    def _request(
        self, run: RemoteStream, given: Any, config: Config | None, headers: Headers | None
    ) -> dict[str, Any]:
        sent = sanitized(merge_configs(self.config, config))
        return {**self._thread(sent, headers), "config": sent, **run.request(given)}


def _output(last: Any, version: str | None) -> Any:
    """What ``invoke`` returns, of the last part of the run."""
    if last is None:
        _LOG.warning("No events received from remote graph")
        return None
    if version == "v2":
        return GraphOutput(value=last["data"], interrupts=tuple(last.get("interrupts", ())))
    return last


def _check_v3(kwargs: Mapping[str, Any]) -> None:
    """Refuse what a v3 run on a server cannot do."""
    for name in ("control", "transformers", "interrupt_before", "interrupt_after"):
        if kwargs.get(name):
            raise NotImplementedError(f"RemoteGraph.stream_events(version='v3') does not support `{name}=`.")
    known = {*_V3_KWARGS, "control", "transformers", "interrupt_before", "interrupt_after"}
    unknown = sorted(set(kwargs) - known)
    if unknown:
        raise NotImplementedError(
            f"RemoteGraph.stream_events(version='v3') does not support the following kwargs: {unknown!r}. "
            f"Supported: {sorted(_V3_KWARGS)!r}."
        )


def _merge_tracing_headers(headers: Headers | None) -> Headers | None:
    """The headers, with those of the LangSmith run that is going on here."""
    from langsmith import get_current_run_tree

    run = get_current_run_tree()
    if run is None:
        return headers
    tracing: Headers = run.to_headers()
    if headers and "baggage" in headers and "baggage" in tracing:
        tracing["baggage"] = f"{headers['baggage']},{tracing['baggage']}"
    return {**(headers or {}), **tracing}
