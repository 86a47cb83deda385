"""LangGraph's former place of ``RunnableCallable``. Loads LangChain."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from langchain_core.runnables import Runnable

from dashflow.pregel.callable import RunnableCallable

__all__ = ("RunnableCallable", "RunnableLike")

RunnableLike: TypeAlias = Runnable[Any, Any] | Callable[..., Any] | Mapping[str, Any]
"""What a ``Runnable`` can be made of."""
