"""Transformers that show one stream mode as it is, for the graph's own level. May not change events."""

from __future__ import annotations

from typing import Any, ClassVar

from dashflow.stream.event import ProtocolEvent
from dashflow.stream.stream_channel import StreamChannel
from dashflow.stream.transformer import StreamTransformer

__all__ = (
    "CheckpointsTransformer",
    "CustomTransformer",
    "DebugTransformer",
    "TasksTransformer",
    "UpdatesTransformer",
    "ValuesTransformer",
)


class _ModeTransformer(StreamTransformer):
    """The data of one mode; what subgraphs say is left to their own streams.

    Args:
        scope: Namespace of the graph.
    """

    _native = True
    _mode: ClassVar[str]

    def __init__(self, scope: tuple[str, ...] = ()) -> None:
        super().__init__(scope)
        self._log: StreamChannel[Any] = StreamChannel()
        self._namespace = list(scope)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "_mode" in cls.__dict__:
            cls.required_stream_modes = (cls._mode,)

    def init(self) -> dict[str, Any]:
        """One channel, named after the mode."""
        return {self._mode: self._log}

    def process(self, event: ProtocolEvent) -> bool:
        """Show what belongs to this graph."""
        if event["method"] == self._mode and event["params"]["namespace"] == self._namespace:
            self._log.push(event["params"]["data"])
        return True


class ValuesTransformer(_ModeTransformer):
    """``run.values``: the state after each step."""

    _mode = "values"

    @property
    def error(self) -> BaseException | None:
        """What the run failed with."""
        return self._log._error


class UpdatesTransformer(_ModeTransformer):
    """``run.updates``: what each node returned, by its name."""

    _mode = "updates"


class CustomTransformer(_ModeTransformer):
    """``run.custom``: what nodes write with their stream writer."""

    _mode = "custom"


class CheckpointsTransformer(_ModeTransformer):
    """``run.checkpoints``: each checkpoint as ``get_state`` shows it; nothing without a checkpointer."""

    _mode = "checkpoints"


class DebugTransformer(_ModeTransformer):
    """``run.debug``: checkpoints, starts and ends of tasks, with step and time."""

    _mode = "debug"


class TasksTransformer(_ModeTransformer):
    """``run.tasks``: starts and ends of tasks."""

    _mode = "tasks"
