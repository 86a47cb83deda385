"""LangGraph's former place of these types. Deprecated: they are in ``dashflow.types``."""

from warnings import warn

from dashflow.types import (
    All,
    CachePolicy,
    PregelExecutableTask,
    PregelTask,
    RetryPolicy,
    StateSnapshot,
    StateUpdate,
    StreamMode,
    StreamWriter,
    default_retry_on,
)
from dashflow.warnings import LangGraphDeprecatedSinceV10

__all__ = [
    "All",
    "CachePolicy",
    "PregelExecutableTask",
    "PregelTask",
    "RetryPolicy",
    "StateSnapshot",
    "StateUpdate",
    "StreamMode",
    "StreamWriter",
    "default_retry_on",
]

warn(
    "Importing from dashflow.pregel.types is deprecated. "
    "Please use 'from dashflow.types import ...' instead.",
    LangGraphDeprecatedSinceV10,
    stacklevel=2,
)
