"""Graphs: build with ``StateGraph``, run what ``compile()`` returns. Importing this is cheap."""

from typing import TYPE_CHECKING, Any

from dashflow.constants import END, START
from dashflow.graph.message import MessagesState, add_messages
from dashflow.graph.state import StateGraph

if TYPE_CHECKING:
    from dashflow.graph.message_graph import MessageGraph

__all__ = ("END", "START", "MessageGraph", "MessagesState", "StateGraph", "add_messages")


def __getattr__(name: str) -> Any:
    """Serve ``MessageGraph``, which is deprecated and not loaded before somebody asks for it."""
    if name == "MessageGraph":
        from dashflow.graph.message_graph import MessageGraph

        return MessageGraph
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
