"""Graphs: build with ``StateGraph``, run what ``compile()`` returns. Importing this is cheap."""

from dashflow.constants import END, START
from dashflow.graph.message import MessagesState, add_messages
from dashflow.graph.message_graph import MessageGraph
from dashflow.graph.state import StateGraph

__all__ = ("END", "START", "MessageGraph", "MessagesState", "StateGraph", "add_messages")
