"""Names that users write: START, END and the tags. Deprecated imports are served, with a warning."""

from __future__ import annotations

from typing import Any, Final
from warnings import warn

from dashflow import types
from dashflow._util import reserved
from dashflow._util.reserved import CONF, CONFIG_KEY_CHECKPOINTER, TASKS
from dashflow.warnings import LangGraphDeprecatedSinceV10

__all__ = (
    "CONF",
    "CONFIG_KEY_CHECKPOINTER",
    "END",
    "START",
    "TAG_HIDDEN",
    "TAG_NOSTREAM",
    "TASKS",
)

START: Final = "__start__"
"""Name of the virtual node that a graph starts from."""

END: Final = "__end__"
"""Name of the virtual node that a graph ends at."""

TAG_NOSTREAM: Final = "nostream"
"""Tag of a chat model whose tokens must not be streamed."""

TAG_HIDDEN: Final = "langsmith:hidden"
"""Tag of a node or edge that traces and streams leave out."""

_MOVED_TO_TYPES = ("Send", "Interrupt")


def __getattr__(name: str) -> Any:
    """Serve the names that LangGraph once had here."""
    if name in _MOVED_TO_TYPES:
        warn(
            f"Importing {name} from dashflow.constants is deprecated. "
            f"Please use 'from dashflow.types import {name}' instead.",
            LangGraphDeprecatedSinceV10,
            stacklevel=2,
        )
        return getattr(types, name)
    if name.isupper() and hasattr(reserved, name):
        warn(
            f"Importing {name} from dashflow.constants is deprecated. This constant is now private "
            "and should not be used directly. Its string may be written out where it is needed.",
            LangGraphDeprecatedSinceV10,
            stacklevel=2,
        )
        return getattr(reserved, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
