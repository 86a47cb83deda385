"""What code inside a node can ask for without being handed it: config, store, stream writer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dashflow._util.langchain import RunnableConfig
from dashflow._util.scope import require_scope

__all__ = ("get_config", "get_store", "get_stream_writer")


def get_config() -> RunnableConfig:
    """The config of the task that runs here.

    Raises:
        RuntimeError: No task runs here.
    """
    config: RunnableConfig = require_scope("get_config()").config  # type: ignore[assignment]  # built as one
    return config


def get_store() -> Any:
    """The graph's store, or None.

    Raises:
        RuntimeError: No task runs here.
    """
    return require_scope("get_store()").store


def get_stream_writer() -> Callable[[Any], None]:
    """A function that writes to the ``custom`` stream; it does nothing when nobody listens.

    Raises:
        RuntimeError: No task runs here.
    """
    return require_scope("get_stream_writer()").writer
