"""LifecycleTransformer: tells when subgraphs start and end, also to remote readers."""

from __future__ import annotations

from typing import Any

from dashflow.stream.payload import LifecyclePayload, SubgraphStatus
from dashflow.stream.stream_channel import StreamChannel
from dashflow.stream.transformers.tracker import SubgraphTracker

__all__ = ("LifecycleTransformer",)


class LifecycleTransformer(SubgraphTracker):
    """``run.lifecycle``: starts and ends of all subgraphs at every depth; each is an event of the run, too.

    Args:
        scope: Namespace of the graph whose subgraphs are followed.
    """

    _native = True

    def __init__(self, scope: tuple[str, ...] = ()) -> None:
        super().__init__(scope)
        self._channel: StreamChannel[LifecyclePayload] = StreamChannel("lifecycle")

    def init(self) -> dict[str, Any]:
        """The channel ``lifecycle``."""
        return {"lifecycle": self._channel}

    def _should_track(self, ns: tuple[str, ...]) -> bool:
        depth = len(self.scope)
        return len(ns) > depth and ns[:depth] == self.scope

    def _on_started(self, ns: tuple[str, ...], graph_name: str | None, trigger_call_id: str | None) -> None:
        if trigger_call_id is None:
            return  # without a task its end could not be seen
        payload: LifecyclePayload = {"event": "started", "namespace": list(ns)}
        if graph_name:
            payload["graph_name"] = graph_name
        payload["trigger_call_id"] = trigger_call_id
        if self._pending_cause is not None:
            payload["cause"] = self._pending_cause
        self._channel.push(payload)

    def _on_terminal(self, ns: tuple[str, ...], status: SubgraphStatus, error: str | None) -> None:
        payload: LifecyclePayload = {"event": status, "namespace": list(ns)}
        if error is not None:
            payload["error"] = error
        self._channel.push(payload)
