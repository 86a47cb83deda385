"""MessageGraph: a graph whose whole state is a list of messages. Deprecated, kept for who uses it."""

from __future__ import annotations

from typing import Annotated, Any
from warnings import warn

from dashflow._util.langchain import AnyMessage
from dashflow.graph.message import add_messages
from dashflow.graph.state import StateGraph
from dashflow.warnings import LangGraphDeprecatedSinceV10


class MessageGraph(StateGraph[Any, None, Any, Any]):
    """A ``StateGraph`` over a list of messages: nodes get the list and return messages to merge into it.

    Warns:
        LangGraphDeprecatedSinceV10: Always; a ``StateGraph`` with a key ``messages`` can be extended.
    """

    def __init__(self) -> None:
        warn(
            "MessageGraph is deprecated in LangGraph v1.0.0, to be removed in v2.0.0. "
            "Please use StateGraph with a `messages` key instead.",
            LangGraphDeprecatedSinceV10,
            stacklevel=2,
        )
        super().__init__(Annotated[list[AnyMessage], add_messages])  # type: ignore[arg-type]  # a state without keys
