"""Runs of a graph as LangChain's callbacks and tracers see them; made only when somebody watches.

Implements the engine's ``Tracer``. A plain run asks ``tracer_for`` once and gets None, without loading
LangChain. May import LangChain inside functions only.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from contextvars import ContextVar
from functools import cache
from types import ModuleType
from typing import Any

from dashflow._util.onload import when_loaded
from dashflow._util.scope import CURRENT, TaskScope
from dashflow.engine.parts import Part
from dashflow.engine.run import GraphRun
from dashflow.engine.task import Scope
from dashflow.engine.trace import shown_input, shown_output
from dashflow.errors import GraphInterrupt
from dashflow.pregel.lifecycle import Watch, watch_for
from dashflow.pregel.stream_handlers import keep_to_themselves, show_message
from dashflow.pregel.trace_policy import end, start
from dashflow.types.policies import TracePolicy

__all__ = ("RunTracer", "Span", "followed", "inherited_config", "tracer_for")

_SWITCHES = ("LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING", "LANGCHAIN_TRACING_V2")


def tracer_for(
    config: Mapping[str, Any],
    name: str,
    *,
    asynchronous: bool,
    nested: bool = False,
    handlers: Sequence[Any] = (),
    chunks: bool = False,
) -> RunTracer | None:
    """Who tells LangChain of a run; None when nobody listens.

    Args:
        config: The run's config, merged.
        name: The graph's name, where the config has no ``run_name``.
        asynchronous: Whether callbacks may be awaited.
        nested: Whether the run is part of a task.
        handlers: Further handlers for everything inside the run, but not for the run itself.
        chunks: Whether these make parts of the chunks that chat models write.
    """
    if not (config.get("callbacks") or handlers or _traced_anyway()):
        return None
    return RunTracer(config, name, asynchronous, nested, handlers, chunks)


def followed(run: GraphRun, given: Any) -> AsyncGenerator[Part, None]:
    """The parts of a run, which its tracer is told of, if it has one."""
    tracer: RunTracer | None = run.options.tracer
    if tracer is not None:
        return _followed(run, given, tracer)
    if _ambient is not None and not isinstance(around := _ambient.get(), _Ambient):
        _ambient.set(_Ambient(around))
    return run.supersteps()


async def _followed(run: GraphRun, given: Any, tracer: RunTracer) -> AsyncGenerator[Part, None]:
    await tracer.begin(given)
    try:
        async with aclosing(run.supersteps()) as parts:
            async for part in parts:
                yield part
    except BaseException as error:
        await tracer.fail(error)
        raise
    await tracer.end(run.output())


def _traced_anyway() -> bool:
    """Whether something traces without being in the config: LangSmith, a context of LangChain, debug mode."""
    context = sys.modules.get("langchain_core.tracers.context")
    if context is None:
        langsmith = sys.modules.get("langsmith.utils")
        return _switched_on() or (langsmith is not None and langsmith.tracing_is_enabled() is True)
    if context._tracing_v2_is_enabled():
        return True
    settings = sys.modules.get("langchain_core.globals")
    if settings is not None and settings.get_debug():
        return True
    for variable, _, _, switch in context._configure_hooks:
        if variable.get() is not None or (switch is not None and os.environ.get(switch)):
            return True
    return False


@cache
def _switched_on() -> bool:
    """Whether the environment switches LangSmith on; looked at once per process, as LangSmith does."""
    return any(os.environ.get(switch, "").lower() == "true" for switch in _SWITCHES)


class RunTracer:
    """One run of a graph, told to LangChain. Arguments: see ``tracer_for``.

    Attributes:
        run_id: The run's id, once it began.
        handlers: Who listens to the run, once it began.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        name: str,
        asynchronous: bool,
        nested: bool,
        handlers: Sequence[Any],
        chunks: bool,
    ) -> None:
        self.asynchronous = asynchronous
        self.run_id: Any = None
        self.handlers: Sequence[Any] = ()
        self._config = config
        self._name = name
        self._nested = nested
        self._more = handlers
        self._chunks = chunks
        self._run: Any = None
        self._watch: Watch | None = None

    async def begin(self, given: Any) -> None:
        """The run starts with this input."""
        manager = self.manager(self._config).copy()
        keep_to_themselves(manager, chunks=self._chunks, nested=self._nested)
        if "ls_integration" not in manager.metadata:
            manager.add_metadata({"ls_integration": "langgraph"})
        self._run = await self.tell(
            manager.on_chain_start,
            None,
            given,
            name=self._config.get("run_name") or self._name,
            run_id=_as_uuid(self._config.get("run_id")),
        )
        self._run.inheritable_handlers.extend(self._more)
        self.run_id, self.handlers = self._run.run_id, self._run.handlers
        self._watch = watch_for(self._config, asynchronous=self.asynchronous, run_id=self.run_id)

    async def resumed(self, checkpoint_id: str, namespace: str) -> None:
        """The run goes on from a checkpoint."""
        if self._watch is not None:
            await self._watch.resumed(checkpoint_id, namespace)

    async def paused(self, checkpoint_id: str, namespace: str, held: str, asked: GraphInterrupt) -> None:
        """The run stopped: for questions, or at a breakpoint; ``held`` says where: ``before``, ``after``."""
        if self._watch is not None:
            interrupts = asked.args[0] if asked.args else ()
            await self._watch.interrupted(checkpoint_id, namespace, interrupts, held)

    async def end(self, output: Any) -> None:
        """The run is over, or stopped for a question; ``output`` is what it shows."""
        await self.tell(self._run.on_chain_end, output)

    async def fail(self, error: BaseException) -> None:
        """The run ends with an error."""
        if self._run is not None:
            await self.tell(self._run.on_chain_error, error)

    async def enter(self, scope: Scope, value: Any) -> Span:
        """A task starts with this input; its span has the config for what the task calls."""
        config = dict(scope.run.task_config(scope))
        caller = None if scope.caller is None else scope.caller.span
        config["callbacks"] = (
            self._run.get_child(f"graph:step:{scope.run.live.step}")
            if caller is None
            else caller.config["callbacks"]
        )
        if scope.watch is not None:
            config = scope.watch.hear(config)
        node = scope.task.node
        policy = node.policies.trace
        arguments = getattr(node.body, "arguments", None)
        shown = shown_input(policy, value if arguments is None else arguments(value))
        run = await start(self.tell, self.manager(config), value, shown, name=scope.task.name)
        return Span(self, run, config, policy)

    def show_message(self, config: Mapping[str, Any], message: Any) -> None:
        """A task with this config pushes a message: show it to who streams messages."""
        show_message(config, message)

    def manager(self, config: Mapping[str, Any]) -> Any:
        """LangChain's callback manager for a config."""
        from langchain_core.runnables.config import (
            get_async_callback_manager_for_config,
            get_callback_manager_for_config,
        )

        if self.asynchronous:
            return get_async_callback_manager_for_config(config)  # type: ignore[arg-type]  # is one
        return get_callback_manager_for_config(config)  # type: ignore[arg-type]  # is one

    async def tell(self, listener: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """Call a method of a callback manager, and wait for it where it can be waited for."""
        answer = listener(*args, **named)
        return await answer if self.asynchronous else answer


class Span:
    """One attempt of a task, told to LangChain.

    Attributes:
        config: The task's config: what runs inside reports to this span.
    """

    def __init__(
        self, tracer: RunTracer, run: Any, config: dict[str, Any], policy: TracePolicy | None = None
    ) -> None:
        self._tracer = tracer
        self._policy = policy
        self._run = run
        self._base = config
        self.config = self._child(1)
        self._undo = _set_context(self.config)

    def _child(self, number: int) -> dict[str, Any]:
        """The config of the n-th part of the task: the node, then what decides where to go on."""
        inner = {key: value for key, value in self._base.items() if key not in ("run_name", "run_id")}
        inner["callbacks"] = self._run.get_child(f"seq:step:{number}")
        return inner

    async def leave(self, result: Any) -> None:
        """The task is done; ``result`` is what its code returned."""
        self._undo()
        await _tap(self._run, result)
        await end(self._tracer.tell, self._run, result, shown_output(self._policy, result))

    async def fail(self, error: BaseException) -> None:
        """The attempt ends with an error, or with a question."""
        self._undo()
        await self._tracer.tell(self._run.on_chain_error, error)

    async def route(self, number: int, name: str, value: Any, decide: Callable[[], Any]) -> Any:
        """Call what decides where to go on, as a part of the task of its own.

        Args:
            number: Which of the task's conditional edges this is, from 0.
            name: Its name.
            value: What it decides by.
            decide: Decides, or gives an awaitable that does.
        """
        config = self._child(number + 3)  # the node is the first, writing its update the second
        tell = self._tracer.tell
        run = await tell(self._tracer.manager(config).on_chain_start, None, value, name=name, run_id=None)
        undo = _set_context({**config, "callbacks": run.get_child()})
        try:
            decision = decide()
            if hasattr(decision, "__await__"):
                decision = await decision
        except BaseException as error:
            await tell(run.on_chain_error, error)
            raise
        finally:
            undo()
        await tell(run.on_chain_end, decision)
        return decision


def _set_context(config: dict[str, Any]) -> Callable[[], None]:
    """Make this the config that LangChain finds by itself here; returns what undoes it."""
    from langchain_core.runnables.config import _set_config_context, var_child_runnable_config
    from langsmith.run_helpers import _set_tracing_context

    token, tracing = _set_config_context(config)  # type: ignore[arg-type]  # is one

    def undo() -> None:
        var_child_runnable_config.reset(token)
        if tracing is not None:
            _set_tracing_context(tracing)

    return undo


async def _tap(run: Any, result: Any) -> None:
    """Let those who stream events see a task's result as a chunk of it."""
    streaming = sys.modules.get("langchain_core.tracers._streaming")
    if streaming is None:
        return
    for handler in run.handlers:
        if isinstance(handler, streaming._StreamingCallbackHandler):
            for _ in handler.tap_output_iter(run.run_id, iter((result,))):
                pass


def _as_uuid(run_id: Any) -> Any:
    """A run's id as LangChain wants it; None when it is no UUID."""
    from uuid import UUID

    if run_id is None or isinstance(run_id, UUID):
        return run_id
    try:
        return UUID(str(run_id))
    except ValueError:
        return None


class _Ambient(Mapping[str, Any]):
    """The config that LangChain finds by itself in nodes that nobody follows: that of the running task, made
    when it is looked at; outside of tasks, what was there before.
    """

    __slots__ = ("outer",)

    def __init__(self, outer: Mapping[str, Any] | None) -> None:
        self.outer = outer

    def _config(self) -> Mapping[str, Any]:
        scope = CURRENT.get()
        return self.outer or {} if scope is None else scope.config

    def __getitem__(self, key: str) -> Any:
        return self._config()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._config())

    def __len__(self) -> int:
        return len(self._config())


_ambient: ContextVar[Any] | None = None
"""Where LangChain looks for it; None while LangChain is not loaded."""


def _find_ambient(module: ModuleType) -> None:
    global _ambient  # set once
    _ambient = module.var_child_runnable_config


when_loaded("langchain_core.runnables.config", _find_ambient)


def inherited_config(scope: TaskScope | None) -> Mapping[str, Any] | None:
    """The config that holds where a graph is called: of the Runnable or the task around, the inner one."""
    around = None if _ambient is None else _ambient.get()
    if around is not None and not isinstance(around, _Ambient):
        found: Mapping[str, Any] = around
        return found
    if scope is not None:
        return scope.config
    return None if around is None else around.outer
