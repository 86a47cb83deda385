"""One task of a superstep: call the node, collect its writes; and the scope its code runs in.

Written once for all hosts. May not touch the log: what a task came to is recorded by the run."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from dashflow._util.ids import digest, path_text
from dashflow._util.reserved import ERROR_HANDLER, NS_END, NS_SEP, PREVIOUS, PUSH
from dashflow._util.scope import CURRENT
from dashflow.core.plan import PLAIN, GraphPlan
from dashflow.core.superstep import Live, Task, read, written
from dashflow.engine.answers import Answers
from dashflow.engine.halt import Halt
from dashflow.engine.handlers import HandlerTask
from dashflow.engine.history import History
from dashflow.engine.parts import Audience
from dashflow.engine.ports import Host
from dashflow.engine.replay import Replay
from dashflow.engine.timeout import Watch
from dashflow.errors import (
    GraphDrained,
    NodeCancelledError,
    NodeError,
    ParentCommand,
)
from dashflow.managed.base import managed_value
from dashflow.options import RunOptions
from dashflow.runtime import ExecutionInfo, RunControl, Runtime, ServerInfo

if TYPE_CHECKING:
    from dashflow.engine.body import Body
    from dashflow.engine.meter import Meter
    from dashflow.engine.span import Inside, Span
    from dashflow.types.interrupts import Terms


class Surroundings(Protocol):
    """What a task may ask of the run it is part of (``dashflow.engine.setting.Setting``)."""

    id: str
    plan: GraphPlan
    host: Host
    live: Live
    former: Mapping[str, str]
    identify: Callable[..., str]
    options: RunOptions
    namespace: str
    store: Any
    cache: Any
    outer: Scope | None
    audience: Audience | None
    answers: Answers
    lent: History | None
    around: dict[str, str]
    replay: Replay | None
    resuming: bool | None
    stopping: bool
    unseen: bool
    halt: Halt
    meter: Meter | None
    root: str | tuple[int, int]

    @property
    def control(self) -> RunControl:
        """Can be asked to drain the run."""
        ...

    @property
    def draining(self) -> str | None:
        """Why no other step is to begin."""
        ...

    @property
    def checkpoint_id(self) -> str:
        """The checkpoint that the present step starts from."""
        ...

    def task_config(self, scope: Scope) -> dict[str, Any]:
        """A new config for a task."""
        ...

    def write_custom(self, value: Any) -> None:
        """Send a value to the ``custom`` stream."""
        ...

    async def confirm(self, host: Host) -> None:
        """Make sure that the thread, and those around it, are this run's at this moment."""
        ...

    def call(self, scope: Scope, node: Any, given: Any) -> Any:
        """Start a function beside the task of ``scope``; returns its future."""
        ...

    def step(self, scope: Scope, node: Any, given: Any, asynchronous: bool) -> Any:
        """The result of a function that the task of ``scope`` calls once, or the recorded one."""
        ...


class Scope:
    """What a running task can be asked for; everything costly is made when somebody asks."""

    __slots__ = (
        "_config",
        "_id",
        "_runtime",
        "asked",
        "attempt",
        "begun",
        "begun_graphs",
        "caller",
        "calls",
        "closed",
        "extra",
        "graphs",
        "inside",
        "noticed",
        "result",
        "run",
        "span",
        "steps",
        "task",
        "watch",
    )

    def __init__(self, run: Surroundings, task: Task, caller: Scope | None = None) -> None:
        """``caller`` is the task that started this one beside itself, for called functions."""
        self.run = run
        self.task = task
        self.caller = caller
        self.calls = 0
        self.asked = 0
        self.graphs = self.begun_graphs = 0
        self.attempt = 1
        self.begun = 0
        self.closed = False
        self.inside: list[Inside] | None = None
        self.watch: Watch | None = None
        self.steps: Any = None
        self.noticed: list[str] | None = None
        self.extra: list[tuple[str, Any]] | None = None
        self._id = ""
        self.span: Span | None = None
        self.result: Any = None
        self._config: dict[str, Any] | None = None
        self._runtime: Runtime[Any] | None = None

    @property
    def id(self) -> str:
        """The task's id."""
        if not self._id:
            self._id = self._identity()
        return self._id

    def call_it(self, identifier: str) -> None:
        """Let the task's id be this one: its result is put in by hand."""
        self._id = identifier

    def _identity(self) -> str:
        task, run = self.task, self.run
        kind = (task.path[0], *task.triggers)
        if isinstance(task, HandlerTask):
            kind = (PUSH, ERROR_HANDLER, self._failed.id)
        elif task.path[0] == PUSH:
            place = task.path[1]
            kind = (
                (PUSH, str(place)) if isinstance(place, int) else (PUSH, path_text(place), str(task.path[2]))
            )
        outer = f"{self._around}{NS_SEP}{task.name}" if self._around else task.name
        seed = run.checkpoint_id
        at = bytes.fromhex(seed.replace("-", ""))
        return run.identify(at, outer, str(run.live.step), task.name, *kind)

    @property
    def namespace(self) -> str:
        """The task's checkpoint namespace: ``parent|node:task id``."""
        own = f"{self.run.former.get(self.task.name, self.task.name)}{NS_END}{self.id}"
        return f"{self._around}{NS_SEP}{own}" if self._around else own

    @property
    def _around(self) -> str:
        """The namespace that the task's begins with."""
        if isinstance(self.task, HandlerTask):
            return self._failed.namespace
        return self.run.namespace if self.caller is None else self.caller.namespace

    @property
    def _failed(self) -> Scope:
        """Of the task that this one's, an error handler's, takes over from."""
        failed: Task = self.task.failed  # type: ignore[attr-defined]  # a HandlerTask
        return failed.scope or Scope(self.run, failed)

    @property
    def path(self) -> str:
        """Where the task stands, as text that sorts."""
        return path_text(self.task.path)

    def next_namespace(self) -> str:
        """Namespace for a graph that starts inside this task; later ones are numbered."""
        number, self.graphs = self.graphs, self.graphs + 1
        return f"{self.namespace}{NS_SEP}{number}" if number else self.namespace

    @property
    def config(self) -> dict[str, Any]:
        """The task's ``RunnableConfig``, made on first use."""
        if self._config is None:
            config = self.run.task_config(self) if self.span is None else self.span.config
            self._config = config if self.watch is None else self.watch.hear(config)
        return self._config

    @property
    def error(self) -> NodeError | None:
        """What an error handler is told; None in other nodes."""
        return self.task.error if isinstance(self.task, HandlerTask) else None

    @property
    def watched(self) -> bool:
        """Whether this task, or one that its graph runs inside of, has a time limit."""
        return self.watch is not None or (self.run.outer is not None and self.run.outer.watched)

    def progress(self) -> None:
        """Something was put out here: idle time-outs start anew, also those of the tasks around."""
        if self.watch is not None:
            self.watch.progress()
        if self.run.outer is not None:
            self.run.outer.progress()

    @property
    def writer(self) -> Callable[[Any], None]:
        """Writes to the ``custom`` stream."""
        return self._write if self.watched else self.run.write_custom

    def _write(self, value: Any) -> None:
        """The writer of a task with a time limit; refuses what comes after that."""
        if not self.closed:
            self.progress()
            self.run.write_custom(value)

    def close(self) -> None:
        """The attempt is over or given up: what it still tries is refused, also by graphs inside."""
        self.closed = True
        for one in tuple(self.inside or ()):
            one.give_up()

    def hold(self, one: Inside) -> None:
        """A graph inside this task, or a call of it, begins.

        Raises:
            GraphDrained: The task is given up already.
        """
        if self.closed:
            raise GraphDrained("cancelled")
        self.inside = self.inside or []
        self.inside.append(one)

    def release(self, one: Inside) -> None:
        """It has come to its end, and nobody need give it up any more."""
        if self.inside is not None and one in self.inside:
            self.inside.remove(one)

    def again(self) -> Scope:
        """The scope of the next attempt; graphs inside it begin anew, under names of their own."""
        scope = self.task.scope = Scope(self.run, self.task, self.caller)
        scope.attempt, scope.begun, scope._id = self.attempt + 1, self.begun, self._id
        scope.graphs = scope.begun_graphs = self.graphs
        self.close()
        return scope

    @property
    def store(self) -> Any:
        """The graph's store, or None."""
        return self.run.store

    @property
    def runtime(self) -> Runtime[Any]:
        """The task's ``Runtime``, made on first use."""
        if self._runtime is None:
            run, config, extra = self.run, self.run.options.config, {}
            if self.watch is not None:
                extra["heartbeat"] = self.watch.beat
            self.begun = self.begun or run.host.now()
            self._runtime = Runtime(
                context=run.options.context,
                store=run.store,
                stream_writer=self.writer,
                previous=self._previous(),
                execution_info=ExecutionInfo(
                    checkpoint_id=run.checkpoint_id,
                    checkpoint_ns=self.namespace,
                    task_id=self.id,
                    thread_id=run.options.thread or None,
                    run_id=str(config["run_id"]) if config.get("run_id") else None,
                    node_attempt=self.attempt,
                    node_first_attempt_time=self.begun / 1e9,
                ),
                server_info=ServerInfo.of(config["configurable"]),
                control=run.control,
                **extra,
            )
        return self._runtime

    def _previous(self) -> Any:
        """What the thread's last run saved (functional API)."""
        saved = self.run.live.channels.get(PREVIOUS)
        return saved.get() if saved is not None and saved.is_available() and self.caller is None else None

    def call(self, node: Any, given: Any) -> Any:
        """Start a function beside this task, as a task of its own; returns its future."""
        return self.run.call(self, node, given)

    def step(self, node: Any, given: Any, asynchronous: bool) -> Any:
        """See ``dashflow.engine.steps``."""
        return self.run.step(self, node, given, asynchronous)

    @property
    def idempotency_key(self) -> str:
        """Names what this task does: the same for every attempt at it, in whatever process."""
        from dashflow.engine.lineage import lineage  # only those who ask pay for it

        return digest(lineage(self))

    def send(self, writes: Sequence[tuple[str, Any]]) -> None:
        """Write to channels beside what the node returns."""
        self.extra = [*(self.extra or ()), *writes]

    def read(self, select: Sequence[str] | str, fresh: bool = False) -> Any:
        """The values of these keys; ``fresh``: with what this task has sent so far."""
        live, managed = self.run.live, self.run.plan.managed
        channels = written(live.channels, self.extra or ()) if fresh else live.channels
        if isinstance(select, str):
            source = managed.get(select)
            return read(channels, select) if source is None else managed_value(source, channels, live)
        values = read(channels, [key for key in select if key not in managed])
        values.update((k, managed_value(managed[k], channels, live)) for k in select if k in managed)
        return values

    def read_state(self) -> Any:
        """The state as the task's node reads it now."""
        return self.task.node.read(self.run.live.channels, self.run.live)

    def push_message(self, message: Any, state_key: str | None) -> None:
        """Show a message, and write it to the state beside what the node returns."""
        if self.watched:
            self.progress()
        tracer = self.run.options.tracer
        if tracer is not None:
            tracer.show_message(self.config, message)
        if state_key:
            self.send([(state_key, message)])

    def interrupt(self, value: Any, response_schema: Any, terms: Terms | None = None) -> Any:
        """The answer to the task's next question, or ``GraphInterrupt`` when there is none yet."""
        from dashflow.engine.asking import ask  # only those who ask pay for it

        return ask(self, value, response_schema, terms)


async def execute(host: Host, run: Surroundings, task: Task) -> list[tuple[str, Any]]:
    """Run a task to its writes.

    Raises:
        Whatever the node raises, after its retry policies gave up; ``GraphInterrupt`` when it asks;
        ``NodeCancelledError`` when it raises ``CancelledError`` and nobody cancelled it.
    """
    body: Body = task.node.body
    if body.inline:
        return body.writes(task.input)
    scope = task.scope = task.scope or Scope(run, task)
    token = CURRENT.set(scope)
    try:
        policies, packet = task.node.policies, task.packet
        if policies is PLAIN and (packet is None or packet.timeout is None):
            writes = await _once(host, run, task, body, scope)
        else:
            from dashflow.engine.attempts import attempts  # only tasks with policies need it

            once = partial(_once, host, run, task, body)
            writes = await attempts(host, run, task, policies, scope, once)
        if run.options.finished is not None and not task.node.hidden:
            run.options.finished(task.name)
        return writes
    except BaseException as error:
        # Known by its name: nothing here may import asyncio, and it need not be loaded.
        if type(error).__name__ == "CancelledError" and not host.cancelling():
            raise NodeCancelledError(task.name) from error
        raise
    finally:
        CURRENT.reset(token)


async def _followed(
    host: Host, run: Surroundings, task: Task, body: Body, scope: Scope
) -> list[tuple[str, Any]]:
    """An attempt that somebody follows."""
    span = scope.span = await run.options.tracer.enter(scope, task.input)
    scope._config = None
    try:
        writes = await _attempt(host, run, task, body, scope)
    except BaseException as error:
        await span.fail(error)
        raise
    await span.leave(scope.result)
    return writes


async def _attempt(
    host: Host, run: Surroundings, task: Task, body: Body, scope: Scope
) -> list[tuple[str, Any]]:
    free = host.asynchronous and body.asynchronous
    try:
        result = await host.call(lambda: body.call(task.input, scope, free), blocking=not free)
    except ParentCommand as upwards:  # from a graph inside this node: it is for us
        result = replace(upwards.args[0], graph=None)
    scope.result = result
    writes = [*body.writes(result), *(scope.extra or ())]
    if run.plan.rules is not None:
        run.plan.rules.writes(run.live.channels, task.name, writes)
    for number, route in enumerate(body.routes):
        state = route.read(run.live, writes)
        free = route.asynchronous and host.asynchronous
        if scope.span is not None:
            asked = partial(route.decide, state, result, scope, free)
            decision = await scope.span.route(number, route.name, state, asked)
        elif free:
            decision = await host.call(partial(route.decide, state, result, scope, True), blocking=False)
        else:
            decision = route.decide(state, result, scope)
        writes.extend(route.writes(decision))
    return writes


def _once(
    host: Host, run: Surroundings, task: Task, body: Body, scope: Scope
) -> Coroutine[Any, Any, list[tuple[str, Any]]]:
    """One attempt, followed by a tracer if there is one."""
    follow = _attempt if run.options.tracer is None else _followed
    return follow(host, run, task, body, scope)
