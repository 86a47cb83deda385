"""Going on with a run whose owner died, as its caller asked for it. Decides nothing about which.

What its caller handed over and the log does not keep (callbacks, objects in ``configurable``, the context) is
not there any more; a context may be given anew.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

import msgspec

from dashflow._util.reserved import CONFIG_KEY_BUDGET
from dashflow.core.fold import ThreadState
from dashflow.engine.log_history import LogHistory
from dashflow.engine.ports import Host
from dashflow.engine.recovery import Orphan, Stray
from dashflow.engine.run import GraphRun
from dashflow.engine.turn import Adopted
from dashflow.pregel.call import Call
from dashflow.pregel.main import Pregel
from dashflow.pregel.tracing import followed
from dashflow.runtime import RunControl
from dashflow.types.commands import Command


def config_as_asked(thread: str, meta: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """The config that a run was started with, as far as the log keeps it."""
    config: dict[str, Any] = {"configurable": {**meta, "thread_id": thread}, "metadata": dict(meta)}
    if "limit" in asked:
        config["recursion_limit"] = asked["limit"]
    if "concurrency" in asked:
        config["max_concurrency"] = asked["concurrency"]
    if "budget" in asked:
        config["configurable"][CONFIG_KEY_BUDGET] = asked["budget"]
    return config


def take_over(
    graph: Pregel[Any, Any, Any, Any],
    host: Host,
    orphan: Orphan,
    *,
    context: Any = None,
    control: RunControl | None = None,
    begun: Callable[[], None] | None = None,
) -> AsyncGenerator[Any, None]:
    """Go on with an orphan's run; to be iterated to its end. It keeps its id.

    Args:
        graph: Its graph.
        host: The world.
        orphan: The thread, as it was found.
        context: For nodes.
        control: To ask it to stop.
        begun: Called once the run is this process's own, before any node runs.

    Raises, when iterated:
        OwnershipConflictError, VersionConflictError: Somebody else was faster; no node ran.
        Exception: What a node raised; it is recorded.
    """
    run = _made(graph, host, orphan, context, control)
    run.begun = begun
    return followed(run, None)


def adopt(
    graph: Pregel[Any, Any, Any, Any],
    host: Host,
    stray: Stray,
    *,
    context: Any = None,
    control: RunControl | None = None,
    begun: Callable[[], None] | None = None,
) -> AsyncGenerator[Any, None]:
    """Run an input whose caller died while it waited; arguments and errors as for ``take_over``."""
    queued = stray.queued
    config = config_as_asked(stray.thread, queued.meta, queued.options)
    if queued.checkpoint:
        config["configurable"]["checkpoint_id"] = queued.checkpoint
    run = _run(
        graph,
        host,
        queued.given,
        config,
        asked=queued.options,
        durability=queued.durability,
        context=queued.context[0] if queued.context else context,
        control=control,
    )
    run.id = queued.run or run.id
    history = run.lent
    if isinstance(history, LogHistory):
        run.turn = history.take_turn(Adopted(host, history.reader, run.options, queued))
    run.begun = begun
    return followed(run, queued.given)


def answer(
    graph: Pregel[Any, Any, Any, Any],
    host: Host,
    thread: str,
    state: ThreadState,
    answers: Mapping[str, Any],
    *,
    context: Any = None,
    control: RunControl | None = None,
    begun: Callable[[], None] | None = None,
) -> AsyncGenerator[Any, None]:
    """Answer questions that a thread waits at, as its caller would; errors as for ``take_over``.

    Args:
        graph: The thread's graph.
        host: The world.
        thread: Its id.
        state: Where it stands; if it stands elsewhere by now, nothing is answered.
        answers: By question id.
        context: For nodes.
        control: To ask it to stop.
        begun: Called once the run is this process's own, before any node runs.
    """
    run = _run(
        graph,
        host,
        Command(resume=dict(answers)),
        config_as_asked(thread, state.meta, state.options),
        asked=state.options,
        durability=state.durability,
        context=context,
        control=control,
    )
    run.expects = state.version
    run.begun = begun
    return followed(run, None)


def _made(
    graph: Pregel[Any, Any, Any, Any], host: Host, orphan: Orphan, context: Any, control: RunControl | None
) -> GraphRun:
    state: ThreadState = orphan.state
    run = _run(
        graph,
        host,
        None,
        config_as_asked(orphan.thread, state.meta, state.options),
        asked=state.options,
        durability=state.durability,
        context=context,
        control=control,
    )
    run.id = state.run or run.id
    run.expects = state.version
    run.options = msgspec.structs.replace(run.options, attempt=orphan.attempt)
    return run


def _run(
    graph: Pregel[Any, Any, Any, Any],
    host: Host,
    given: Any,
    config: dict[str, Any],
    *,
    asked: Mapping[str, Any],
    durability: str,
    context: Any,
    control: RunControl | None,
) -> GraphRun:
    """A run as its caller asked for it, ready to begin; nobody but the log sees what it does."""
    call = Call(
        graph=graph,
        input=given,
        config=config,
        context=context,
        stream_mode="values",
        output_keys=graph.plan.output,
        interrupt_before=asked.get("before"),
        interrupt_after=asked.get("after"),
        durability=durability,
        control=control,
    )
    run, _ = call.begin(host, quiet=True)
    return run
