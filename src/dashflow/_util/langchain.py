"""LangChain's types by name, without importing LangChain: for annotations only, here and nowhere else.

Type checkers see the real types. At run time the names are stand-ins that cost nothing and still
resolve: ``get_type_hints`` works on whatever is annotated with them, and a pydantic model built from
such an annotation gets LangChain's own schema, imported at that moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ("AnyMessage", "Embeddings", "MessageLikeRepresentation", "RunnableConfig", "embeddings")

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings
    from langchain_core.messages import AnyMessage, MessageLikeRepresentation
    from langchain_core.runnables import RunnableConfig
else:

    class AnyMessage:
        """Stands for ``langchain_core.messages.AnyMessage`` in annotations."""

        @classmethod
        def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
            """The schema of LangChain's union of messages."""
            from langchain_core.messages import AnyMessage as Real

            return handler.generate_schema(Real)

    Embeddings = Any
    MessageLikeRepresentation = Any
    RunnableConfig = dict[str, Any]


def embeddings() -> type[Embeddings]:
    """LangChain's class of embeddings; loads LangChain."""
    from langchain_core import embeddings

    return embeddings.Embeddings
