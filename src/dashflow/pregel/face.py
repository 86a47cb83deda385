"""RunnableFace: makes a class a LangChain ``Runnable`` without importing LangChain.

What every Runnable can do beside running (``|``, ``batch``, ``with_retry``, ``as_tool``, ...) is LangChain's
own code, looked up in its class when somebody asks for it. ``isinstance(graph, Runnable)`` holds from the
moment LangChain is loaded, whoever loads it. May import LangChain inside functions only.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from dashflow._util.onload import when_loaded

__all__ = ("Borrowed", "RunnableFace", "borrow")

_HOME = "langchain_core.runnables.base"


def borrow(face: Any, name: str) -> Any:
    """What ``super().name`` would be if ``face`` inherited from LangChain's ``Runnable``."""
    from langchain_core.runnables.base import Runnable

    return vars(Runnable)[name].__get__(face, type(face))


class Borrowed:
    """An attribute that is LangChain's."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, face: Any, owner: type | None = None) -> Any:
        return self if face is None else borrow(face, self.name)


class RunnableFace:
    """Base of a class that is a ``Runnable`` to LangChain, with ``invoke`` and what else in its own way."""

    name: Any

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if RunnableFace in cls.__bases__:  # the subclasses of this one follow it
            when_loaded(_HOME, lambda module: module.Runnable.register(cls))

    # Composing
    __or__ = Borrowed()
    __ror__ = Borrowed()
    pipe = Borrowed()
    pick = Borrowed()
    assign = Borrowed()
    map = Borrowed()
    # Binding and wrapping
    bind = Borrowed()
    with_types = Borrowed()
    with_retry = Borrowed()
    with_fallbacks = Borrowed()
    with_listeners = Borrowed()
    with_alisteners = Borrowed()
    as_tool = Borrowed()
    # Running many, and running on chunks
    batch = Borrowed()
    abatch = Borrowed()
    batch_as_completed = Borrowed()
    abatch_as_completed = Borrowed()
    transform = Borrowed()
    atransform = Borrowed()
    astream_log = Borrowed()
    # Describing
    get_prompts = Borrowed()
    input_schema = Borrowed()
    output_schema = Borrowed()

    @property
    def config_specs(self) -> list[Any]:
        """LangChain's list of configurable fields: a graph has none."""
        return []

    def get_name(self, suffix: str | None = None, *, name: str | None = None) -> str:
        """The name for people and traces, with ``suffix`` in the same style."""
        found = name or self.name or type(self).__name__
        if not suffix:
            return found
        return found + suffix.title() if found[0].isupper() else f"{found}_{suffix.lower()}"

    if not TYPE_CHECKING:  # type checkers are to know names, not to guess them

        def __getattr__(self, name: str) -> Any:
            """Whatever else LangChain's code asks of a Runnable: the internal methods of its own ones."""
            home = sys.modules.get(_HOME)
            found = None
            if home is not None and not name.startswith("__"):
                found = vars(getattr(home, "Runnable", object)).get(name)
            if found is None:
                raise AttributeError(
                    f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self
                )
            return found.__get__(self, type(self))
