"""``stream_events`` and ``astream_events``: a graph's run as events. Functions over a compiled graph.

Version 3 is a run stream over the graph's own parts; versions 1 and 2 are LangChain's, made from callbacks.
May not know the engine; imported when somebody asks for events.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from dashflow._util.reserved import CONF, CONFIG_KEY_CHECKPOINT_NS, CONFIG_KEY_STREAM_MESSAGES_V2, path_of
from dashflow._util.scope import CURRENT
from dashflow.stream.mux import StreamMux, TransformerFactory
from dashflow.stream.run_stream import AsyncGraphRunStream, GraphRunStream
from dashflow.stream.transformer import StreamTransformer
from dashflow.stream.transformers import (
    LifecycleTransformer,
    MessagesTransformer,
    SubgraphTransformer,
    ValuesTransformer,
)

__all__ = ("astream_events", "stream_events")

Config = Mapping[str, Any]

BUILT_IN: tuple[TransformerFactory, ...] = (
    ValuesTransformer,
    MessagesTransformer,
    LifecycleTransformer,
    SubgraphTransformer,
)

OWNED = ("stream_mode", "subgraphs")
"""What version 3 sets itself: the modes that its transformers need, and subgraphs for their streams."""


class Streamable(Protocol):
    """What is asked of a compiled graph."""

    @property
    def config(self) -> Any:
        """Defaults for its runs' config."""
        ...

    @property
    def stream_transformers(self) -> Sequence[Any]:
        """What makes projections beside those built in."""
        ...

    def stream(self, input: Any, config: Any = None, **kwargs: Any) -> Iterable[Any]:  # noqa: A002
        """See ``Pregel.stream``."""
        ...

    def astream(self, input: Any, config: Any = None, **kwargs: Any) -> AsyncIterator[Any]:  # noqa: A002
        """See ``Pregel.astream``."""
        ...


def stream_events(
    graph: Streamable,
    given: Any,
    config: Config | None = None,
    *,
    version: str = "v2",
    transformers: Sequence[Callable[[tuple[str, ...]], Any]] | None = None,
    **kwargs: Any,
) -> GraphRunStream:
    """A run of ``graph``, driven by whoever reads what it returns.

    Args:
        graph: The graph.
        given: Its input.
        config: The run's config.
        version: Only ``v3`` has a synchronous form.
        transformers: Make more projections than those built in and given to ``compile``.
        **kwargs: Handed to ``stream``.

    Raises:
        TypeError: ``stream_mode`` or ``subgraphs`` is given, or a transformer is no factory.
        NotImplementedError: Another version than ``v3``.
        RuntimeError: A transformer needs an async run.
    """
    if version != "v3":
        raise NotImplementedError(
            f"stream_events(version={version!r}) has no synchronous form. "
            "Use astream_events(), or stream_events(version='v3')."
        )
    mux = _new_mux(graph, config, transformers, kwargs, is_async=False)
    parts = graph.stream(given, _marked(config), **_owned(mux), **kwargs)
    return GraphRunStream(iter(parts), mux)


def astream_events(
    graph: Streamable,
    given: Any,
    config: Config | None = None,
    *,
    version: str = "v2",
    transformers: Sequence[Callable[[tuple[str, ...]], Any]] | None = None,
    **kwargs: Any,
) -> AsyncIterator[Any] | Awaitable[AsyncGraphRunStream]:
    """``stream_events`` for asyncio callers.

    Args:
        graph: The graph.
        given: Its input.
        config: The run's config.
        version: ``v3``: await the result for a run stream. ``v1``, ``v2``: iterate it for LangChain's events.
        transformers: As for ``stream_events``; for ``v3`` only.
        **kwargs: Handed to ``astream``; for ``v1`` and ``v2``, also what LangChain filters events by.

    Raises:
        TypeError: ``stream_mode`` or ``subgraphs`` is given for ``v3``, or a transformer is no factory.
        NotImplementedError: There is no such version.
    """
    if version == "v3":
        return _arun(graph, given, config, transformers, kwargs)
    from langchain_core.runnables import Runnable

    # The graph counts as a Runnable without inheriting from it, so the method is borrowed.
    events: AsyncIterator[Any] = Runnable.astream_events(graph, given, config, version=version, **kwargs)  # type: ignore[call-overload]
    return events


async def _arun(
    graph: Streamable,
    given: Any,
    config: Config | None,
    transformers: Sequence[Callable[[tuple[str, ...]], Any]] | None,
    kwargs: dict[str, Any],
) -> AsyncGraphRunStream:
    mux = _new_mux(graph, config, transformers, kwargs, is_async=True)
    parts = graph.astream(given, _marked(config), **_owned(mux), **kwargs)
    return AsyncGraphRunStream(aiter(parts), mux)


def _new_mux(
    graph: Streamable,
    config: Config | None,
    transformers: Sequence[Callable[[tuple[str, ...]], Any]] | None,
    kwargs: Mapping[str, Any],
    *,
    is_async: bool,
) -> StreamMux:
    if wrong := [name for name in OWNED if name in kwargs]:
        raise TypeError(
            "stream_events(version='v3') / astream_events(version='v3') do not accept "
            f"{', '.join(wrong)}; v3 sets these itself: modes are what the transformers need, and "
            "subgraphs are always streamed."
        )
    factories = (*BUILT_IN, *map(_factory, graph.stream_transformers), *map(_factory, transformers or ()))
    return StreamMux(factories=factories, scope=_namespace(graph, config), is_async=is_async)


def _factory(given: Any) -> TransformerFactory:
    """Checks that this makes transformers: a finished one could not be copied to a subgraph."""
    if isinstance(given, StreamTransformer):
        raise TypeError(
            "stream_events(version='v3') transformers must be scope-aware callables, got pre-built "
            f"instance {type(given).__name__}. Pass the transformer class or a factory like "
            "`lambda scope: MyTransformer(scope, ...)`."
        )
    if not callable(given):
        raise TypeError(
            "stream_events(version='v3') transformers must be scope-aware callables, "
            f"got {type(given).__name__}."
        )
    factory: TransformerFactory = given
    return factory


def _owned(mux: StreamMux) -> dict[str, Any]:
    modes = {mode for transformer in mux._transformers for mode in transformer.required_stream_modes}
    return {"stream_mode": sorted(modes), "subgraphs": True, "version": "v2"}


def _marked(config: Config | None) -> dict[str, Any]:
    """The config that makes chat models in the graph send events of content blocks."""
    config = config or {}
    return {**config, CONF: {**config.get(CONF, {}), CONFIG_KEY_STREAM_MESSAGES_V2: True}}


def _namespace(graph: Streamable, config: Config | None) -> tuple[str, ...]:
    """Namespace that the run's own parts come under: that of the task which starts it, if one does."""
    scope = CURRENT.get()
    for one in (config, graph.config, None if scope is None else scope.config):
        if namespace := ((one or {}).get(CONF) or {}).get(CONFIG_KEY_CHECKPOINT_NS):
            return path_of(namespace)
    return ()
