"""RunnableCallable: a LangChain ``Runnable`` around a function, which gets what a running task lends.

LangChain is loaded when this file is: only what hands nodes to LangChain (``prebuilt``, integrations, the
alias for ``langgraph``) may import it. Plain nodes do not need it, the graph calls them itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from functools import partial, wraps
from inspect import Parameter
from typing import Any, Protocol

from langchain_core.messages.tool import ToolOutputMixin
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda, RunnableParallel
from langchain_core.runnables.config import (
    ensure_config,
    get_async_callback_manager_for_config,
    get_callback_manager_for_config,
    patch_config,
    run_in_executor,
    set_config_context,
    var_child_runnable_config,
)

from dashflow._util.drive import drive
from dashflow._util.functions import is_asynchronous, is_generator
from dashflow._util.reserved import CONF, CONFIG_KEY_NODE_ERROR, CONFIG_KEY_RUNTIME
from dashflow._util.scope import CURRENT
from dashflow._util.sentinel import MISSING
from dashflow.pregel.signature import candidates, may_be_none, means, warn_of_hints
from dashflow.runtime import ignore
from dashflow.types.commands import CommandBase

__all__ = ("RunnableCallable", "coerce_to_runnable")

CommandBase.adopt(ToolOutputMixin)  # a tool may return a Command: LangChain must not turn it into a message


class Wanted:
    """One parameter that the runtime fills.

    Attributes:
        attribute: The runtime's attribute it comes from; ``N/A`` for what is no attribute of it.
        default: What it is when there is no runtime; ``Parameter.empty`` when that is an error.
    """

    __slots__ = ("attribute", "default")

    def __init__(self, attribute: str, default: Any = Parameter.empty) -> None:
        self.attribute = attribute
        self.default = default


def wanted(function: Callable[..., Any]) -> dict[str, Wanted]:
    """The parameters of ``function`` that the runtime fills: by name, and by annotation where it matters.

    Unlike ``wants``, it leaves alone what is annotated as something else, even where nothing else fills it.

    Warns:
        UserWarning: See ``warn_of_hints``.
    """
    warn_of_hints(function, skip=0)
    found = {p.name: _want(p.name, p.annotation) for p in candidates(function, skip=0)}
    return {name: want for name, want in found.items() if want is not None}


def _want(name: str, hint: Any) -> Wanted | None:
    bare = hint is Parameter.empty
    match name:
        case "config" if bare or means(hint, "RunnableConfig"):
            return Wanted("N/A")
        case "writer" if bare or means(hint, "StreamWriter"):
            return Wanted("stream_writer", ignore)
        case "store" if bare or means(hint, "BaseStore"):
            return Wanted("store", None) if may_be_none(hint) else Wanted("store")
        case "previous":
            return Wanted("previous")
        case "runtime":
            return Wanted("N/A")
        case "error" if means(hint, "NodeError"):
            return Wanted("N/A", None)
    return None


class _World(Protocol):
    """What differs between ``invoke`` and ``ainvoke``."""

    def manager(self, config: RunnableConfig) -> Any: ...
    async def tell(self, listener: Callable[..., Any], *args: Any, **kwargs: Any) -> Any: ...
    async def call(self, owner: RunnableCallable, context: Context | None, *args: Any, **kw: Any) -> Any: ...
    async def invoke(self, runnable: Runnable[Any, Any], value: Any, config: RunnableConfig) -> Any: ...


class _Blocking:
    """Callbacks and functions are called; nothing suspends."""

    manager = staticmethod(get_callback_manager_for_config)

    async def tell(self, listener: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return listener(*args, **kwargs)

    async def call(self, owner: RunnableCallable, context: Context | None, *args: Any, **kw: Any) -> Any:
        assert owner.func is not None
        return owner.func(*args, **kw) if context is None else context.run(owner.func, *args, **kw)

    async def invoke(self, runnable: Runnable[Any, Any], value: Any, config: RunnableConfig) -> Any:
        return runnable.invoke(value, config)


class _Awaiting:
    """Callbacks and functions are awaited."""

    manager = staticmethod(get_async_callback_manager_for_config)

    async def tell(self, listener: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return await listener(*args, **kwargs)

    async def call(self, owner: RunnableCallable, context: Context | None, *args: Any, **kw: Any) -> Any:
        assert owner.afunc is not None
        work: Any = owner.afunc(*args, **kw)
        return await (work if context is None else asyncio.create_task(work, context=context))

    async def invoke(self, runnable: Runnable[Any, Any], value: Any, config: RunnableConfig) -> Any:
        return await runnable.ainvoke(value, config)


class RunnableCallable(Runnable[Any, Any]):
    """A ``Runnable`` made of a function, an async function, or one of each.

    Parameters named ``config``, ``writer``, ``store``, ``previous``, ``runtime`` and ``error`` are filled
    with what the running task lends: from the config, when it carries a runtime, else from the task that
    runs in this context (LangChain copies the context into its threads).

    Args:
        func: Called by ``invoke``.
        afunc: Awaited by ``ainvoke``; without it, ``func`` serves both.
        name: For traces; the function's name unless given.
        tags: Tags of its trace.
        trace: Tell callbacks of its start and end.
        recurse: When it returns a ``Runnable``, run that and return what it returns.
        explode_args: The input is a pair of positional and keyword arguments.
        kwargs: Further keyword arguments of every call.

    Raises:
        ValueError: Neither function is given.
    """

    def __init__(
        self,
        func: Callable[..., Any] | None,
        afunc: Callable[..., Awaitable[Any]] | None = None,
        *,
        name: str | None = None,
        tags: Sequence[str] | None = None,
        trace: bool = True,
        recurse: bool = True,
        explode_args: bool = False,
        **kwargs: Any,
    ) -> None:
        function = func or afunc
        if function is None:
            raise ValueError("At least one of func or afunc must be provided.")
        own = getattr(function, "__name__", None)
        self.name = name if name is not None or (func and own == "<lambda>") else own
        self.func = func
        self.afunc = afunc
        self.tags = tags
        self.kwargs = kwargs
        self.trace = trace
        self.recurse = recurse
        self.explode_args = explode_args
        self.func_accepts = wanted(function)

    def __repr__(self) -> str:
        hidden = {"name", "func", "afunc", "config", "kwargs", "trace"}
        shown = ", ".join(f"{key}={value!r}" for key, value in vars(self).items() if key not in hidden)
        return f"{self.get_name()}({shown})"

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """Call the function.

        Raises:
            TypeError: There is only an async one.
            ValueError: It wants something of a runtime, and none is there.
        """
        if self.func is None:
            raise TypeError(
                f'No synchronous function provided to "{self.name}".'
                "\nEither initialize with a synchronous function or invoke via the async API "
                "(ainvoke, astream, etc.)"
            )
        return drive(self._run(_Blocking(), input, config, kwargs))

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:  # noqa: A002
        """Await the async function; without one, call the other."""
        if self.afunc is None:
            return self.invoke(input, config, **kwargs)
        return await self._run(_Awaiting(), input, config, kwargs)

    async def _run(
        self, world: _World, value: Any, given: RunnableConfig | None, more: dict[str, Any]
    ) -> Any:
        config = _task_config() if given is None else given
        args, named = value if self.explode_args else ((value,), {})
        kwargs = {**self.kwargs, **named, **more}
        self._fill(kwargs, config)
        if not self.trace:
            answer = await world.call(self, None, *args, **kwargs)
        else:
            tagged = {**config, "tags": [*(config.get("tags") or ()), *self.tags]} if self.tags else config
            run = await world.tell(
                world.manager(tagged).on_chain_start,
                None,
                value,
                name=config.get("run_name") or self.get_name(),
                run_id=config.pop("run_id", None),
            )
            try:
                with set_config_context(patch_config(config, callbacks=run.get_child())) as context:
                    answer = await world.call(self, context, *args, **kwargs)
            except BaseException as error:
                await world.tell(run.on_chain_error, error)
                raise
            await world.tell(run.on_chain_end, answer)
        if self.recurse and isinstance(answer, Runnable):
            return await world.invoke(answer, value, config)
        return answer

    def _fill(self, kwargs: dict[str, Any], config: RunnableConfig) -> None:
        """Add what the runtime lends to ``kwargs``, in place."""
        if not self.func_accepts:
            return
        configurable = config.get(CONF) or {}
        runtime = configurable.get(CONFIG_KEY_RUNTIME)
        if runtime is None and (scope := CURRENT.get()) is not None:
            runtime = scope.runtime
        for name, want in self.func_accepts.items():
            if name in kwargs:
                continue
            if name == "config":
                kwargs[name] = config
                continue
            if name == "error":
                kwargs[name] = configurable.get(CONFIG_KEY_NODE_ERROR, want.default)
                continue
            found: Any = MISSING
            if runtime is not None:
                found = runtime if name == "runtime" else getattr(runtime, want.attribute, MISSING)
            if found is MISSING:
                if want.default is Parameter.empty:
                    raise ValueError(f"Missing required config key '{want.attribute}' for '{self.name}'.")
                found = want.default
            kwargs[name] = found


def _task_config() -> RunnableConfig:
    """The config that holds here: of the enclosing Runnable, else of the running task, else an empty one."""
    scope = CURRENT.get()
    if scope is not None and var_child_runnable_config.get() is None:
        return ensure_config(scope.config)  # type: ignore[arg-type]  # built as one
    return ensure_config()


def coerce_to_runnable(thing: Any, *, name: str | None, trace: bool) -> Runnable[Any, Any]:
    """``thing`` as a ``Runnable``: one already, a function or generator function, or a dict of such.

    Raises:
        TypeError: It is none of these.
    """
    if isinstance(thing, Runnable):
        return thing
    if is_generator(thing):
        return RunnableLambda(thing, name=name)
    if is_asynchronous(thing):
        return RunnableCallable(None, thing, name=name, trace=trace)
    if callable(thing):
        threaded = wraps(thing)(partial(run_in_executor, None, thing))
        return RunnableCallable(thing, threaded, name=name, trace=trace)
    if isinstance(thing, dict):
        return RunnableParallel(thing)
    raise TypeError(f"Expected a Runnable, callable or dict.Instead got an unsupported type: {type(thing)}")
