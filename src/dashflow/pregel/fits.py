"""Asking whether threads in flight could go on with a graph as it is now. Sync and async side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from dashflow._util.drive import drive
from dashflow.engine.ports import Host
from dashflow.pregel.start import loop_host, sync_host
from dashflow.pregel.threads import Look

if TYPE_CHECKING:
    from dashflow.pregel.shape import GraphShape
    from dashflow.types.fits import ThreadFit

Config = Mapping[str, Any]


class FitMethods:
    """The part of ``Pregel`` that compares it with where a thread stands."""

    def check_thread(self, config: Config) -> ThreadFit:
        """A dry run of going on with a thread: would this graph take it, migrate it, or refuse it?

        Nothing is recorded and no node runs; functions of migrations do.

        Args:
            config: Names the thread.

        Raises:
            ValueError: The graph has no checkpointer, or ``config`` no thread.
        """
        host = sync_host(cast("GraphShape", self))
        return drive(_tried(cast("GraphShape", self), host, config))

    async def acheck_thread(self, config: Config) -> ThreadFit:
        """``check_thread`` for asyncio callers."""
        return await _tried(cast("GraphShape", self), loop_host(), config)


async def _tried(graph: GraphShape, host: Host, config: Config) -> ThreadFit:
    from dashflow.engine.trial import tried

    look = Look(graph, host, config)
    return await tried(look.setting(), look.history)
