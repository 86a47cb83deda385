"""Something that a graph calls with a node's input: a function with what it wants, or a ``Runnable``.

Nodes, paths of conditional edges and steps of low-level nodes are all called here. LangChain is loaded only
for what only LangChain can call (generators, dicts of Runnables).
"""

from __future__ import annotations

import sys
from typing import Any

from dashflow._util.functions import is_asynchronous, is_generator
from dashflow.engine.task import Scope
from dashflow.pregel.signature import Provider, wants, warn_of_hints
from dashflow.types.commands import Command, Send


def is_runnable(thing: Any) -> bool:
    """Whether it is called by ``invoke``: LangChain's ``Runnable``, a graph, or what can do nothing else."""
    return _is_langchains(thing) or (not callable(thing) and hasattr(thing, "invoke"))


def _is_langchains(thing: Any) -> bool:
    base = sys.modules.get("langchain_core.runnables.base")  # whoever has a Runnable, has loaded this
    return base is not None and isinstance(thing, base.Runnable)


def name_of(thing: Any) -> str | None:
    """The name a function, ``Runnable`` or callable object goes by; None for lambdas and the like."""
    if is_runnable(thing) and hasattr(thing, "get_name"):
        given: str = thing.get_name()
        return given
    name: str | None = getattr(thing, "__name__", None)
    return None if name == "<lambda>" else name


def _needs_langchain(thing: Any) -> bool:
    """Whether it is something that LangChain knows how to call and nobody else."""
    return isinstance(thing, dict) or is_generator(thing)


def check_callable(name: str, thing: Any) -> None:
    """Check that an ``Action`` can be made of it.

    Warns:
        UserWarning: See ``warn_of_hints``.

    Raises:
        TypeError: It cannot.
    """
    if is_runnable(thing):
        return
    if callable(thing):
        warn_of_hints(thing)
        return
    if not isinstance(thing, dict) or not all(callable(one) or is_runnable(one) for one in thing.values()):
        raise TypeError(
            f"Expected a Runnable, callable or dict of these for {name!r}. "
            f"Instead got an unsupported type: {type(thing)}"
        )


class Action:
    """What to call, and how. A ``Runnable`` that a function returns is run with the same input.

    Args:
        name: For messages.
        thing: A function, callable object, ``Runnable``, generator function or dict of these; None passes
            the input on.

    Attributes:
        thing: As it was given; LangChain's form of it for generators and dicts.
        asynchronous: Whether ``call`` can return an awaitable.
        scoped: Whether the function wants something of the runtime.
    """

    __slots__ = ("_awaits", "_extra", "_invoke", "asynchronous", "name", "scoped", "thing")

    def __init__(self, name: str, thing: Any) -> None:
        if _needs_langchain(thing):
            from dashflow.pregel.callable import coerce_to_runnable

            thing = coerce_to_runnable(thing, name=name, trace=False)
        self.name = name
        self.thing = thing
        self._invoke = is_runnable(thing)
        self._extra: tuple[Provider, ...] = () if self._invoke or thing is None else wants(thing)
        self._awaits = not self._invoke and is_asynchronous(thing)
        self.asynchronous = self._awaits or (self._invoke and hasattr(thing, "ainvoke"))
        self.scoped = bool(self._extra)

    def call(self, value: Any, scope: Scope, asynchronous: bool) -> Any:
        """Call it; returns an awaitable when ``asynchronous`` and it can be awaited.

        Raises:
            TypeError: It can only be awaited, and is not to be.
        """
        act = self.thing
        if act is None:
            return value
        if self._invoke:
            return act.ainvoke(value, scope.config) if asynchronous else act.invoke(value, scope.config)
        if self._awaits and not asynchronous:
            raise TypeError(
                f'No synchronous function provided to "{self.name}".'
                "\nEither initialize with a synchronous function or invoke via the async API "
                "(ainvoke, astream, etc.)"
            )
        if self._extra:
            result = act(value, **{key: provide(scope) for key, provide in self._extra})
        else:
            result = act(value)
        if self._awaits:
            return _awaited(result, value, scope)
        if result.__class__ in _FINAL or not _is_langchains(result):
            return result
        return result.invoke(value, scope.config)


_FINAL = frozenset({dict, list, tuple, str, bool, type(None), Command, Send})
"""Classes of results that need no second look."""


async def _awaited(work: Any, value: Any, scope: Scope) -> Any:
    result = await work
    if result.__class__ in _FINAL or not _is_langchains(result):
        return result
    return await result.ainvoke(value, scope.config)
