"""One task of a superstep: call the node, collect its writes; and the scope its code runs in.

Written once for all hosts. May not touch the log: what a task came to is recorded by the run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from dashflow._util.ids import interrupt_id, path_text, task_id
from dashflow._util.reserved import NS_END, NS_SEP, PUSH
from dashflow._util.scope import CURRENT
from dashflow._util.sentinel import MISSING
from dashflow.core.plan import GraphPlan
from dashflow.core.superstep import Live, Task, read, written
from dashflow.engine.parts import Audience
from dashflow.engine.ports import Host
from dashflow.engine.retry import delay_before, matching_policy
from dashflow.errors import GraphBubbleUp, GraphInterrupt, NodeCancelledError, ParentCommand
from dashflow.options import RunOptions
from dashflow.runtime import ExecutionInfo, Runtime
from dashflow.types.interrupts import Interrupt, response_json_schema, validate_response
from dashflow.types.policies import RetryPolicy


class Surroundings(Protocol):
    """What a task may ask of the run it is part of (``dashflow.engine.run.GraphRun``)."""

    id: str
    plan: GraphPlan
    live: Live
    options: RunOptions
    namespace: str
    store: Any
    outer: Scope | None
    audience: Audience | None
    recorded: bool

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

    def answer(self, question: str, task: Task) -> Any:
        """The answer to the question of that id, or to whoever asks first; MISSING when there is none."""
        ...

    def note_first(self, question: str, first: str) -> None:
        """Remember the id of the first question of the task that asks ``question``."""
        ...

    def refuse(self, question: Interrupt[Any], first: str, task: Task) -> None:
        """The answer to this question did not fit: forget it, the question is open again."""
        ...


class Route(Protocol):
    """A conditional edge: from the state after a node to where to go."""

    asynchronous: bool
    name: str

    def read(self, live: Live, writes: Sequence[tuple[str, Any]]) -> Any:
        """What the path function is given: the state with this task's own writes."""
        ...

    def decide(self, state: Any, value: Any, scope: Scope, asynchronous: bool = False) -> Any:
        """Call the path function; an awaitable when it and the caller are asynchronous."""
        ...

    def writes(self, decision: Any) -> Sequence[tuple[str, Any]]:
        """The writes that lead to where it decided."""
        ...


class Body(Protocol):
    """A node's code, compiled: what to call, and how its result becomes writes."""

    asynchronous: bool
    scoped: bool
    inline: bool
    routes: Sequence[Route]
    retry: Sequence[RetryPolicy]

    def call(self, value: Any, scope: Scope, asynchronous: bool) -> Any:
        """Call the node; an awaitable when both it and the host are asynchronous."""
        ...

    def writes(self, result: Any) -> list[tuple[str, Any]]:
        """What the node's return value writes, without its conditional edges."""
        ...


class Span(Protocol):
    """One attempt of a task, as somebody who follows the run sees it."""

    config: dict[str, Any]
    """The config for what the task calls."""

    async def leave(self, result: Any) -> None:
        """The task is done; ``result`` is what its code returned."""
        ...

    async def fail(self, error: BaseException) -> None:
        """The attempt ends with an error, or with a question."""
        ...

    async def route(self, number: int, name: str, value: Any, decide: Callable[[], Any]) -> Any:
        """Call what decides where to go on: the n-th of the task's conditional edges."""
        ...


class Scope:
    """What a running task can be asked for; everything costly is made when somebody asks."""

    __slots__ = (
        "_config",
        "_runtime",
        "asked",
        "attempt",
        "extra",
        "graphs",
        "result",
        "run",
        "span",
        "task",
    )

    def __init__(self, run: Surroundings, task: Task) -> None:
        self.run = run
        self.task = task
        self.asked = 0
        self.graphs = 0
        self.attempt = 1
        self.extra: list[tuple[str, Any]] | None = None
        self.span: Span | None = None
        self.result: Any = None
        self._config: dict[str, Any] | None = None
        self._runtime: Runtime[Any] | None = None

    @property
    def id(self) -> str:
        """The task's id."""
        task, run = self.task, self.run
        kind = (task.path[0], *task.triggers)
        if task.path[0] == PUSH:
            place = task.path[1]
            kind = (PUSH, str(place) if isinstance(place, int) else path_text(place))
        outer = f"{run.namespace}{NS_SEP}{task.name}" if run.namespace else task.name
        seed = run.checkpoint_id
        return task_id(bytes.fromhex(seed.replace("-", "")), outer, str(run.live.step), task.name, *kind)

    @property
    def namespace(self) -> str:
        """The task's checkpoint namespace: ``parent|node:task id``."""
        own = f"{self.task.name}{NS_END}{self.id}"
        return f"{self.run.namespace}{NS_SEP}{own}" if self.run.namespace else own

    @property
    def outermost(self) -> Scope:
        """The task of the outermost graph that this one runs inside of; itself, when it is that."""
        scope = self
        while scope.run.outer is not None:
            scope = scope.run.outer
        return scope

    def next_namespace(self) -> str:
        """Namespace for a graph that starts inside this task; later ones are numbered."""
        number, self.graphs = self.graphs, self.graphs + 1
        return f"{self.namespace}{NS_SEP}{number}" if number else self.namespace

    @property
    def config(self) -> dict[str, Any]:
        """The task's ``RunnableConfig``, made on first use."""
        if self._config is None:
            self._config = self.run.task_config(self) if self.span is None else self.span.config
        return self._config

    @property
    def writer(self) -> Callable[[Any], None]:
        """Writes to the ``custom`` stream."""
        return self.run.write_custom

    @property
    def store(self) -> Any:
        """The graph's store, or None."""
        return self.run.store

    @property
    def runtime(self) -> Runtime[Any]:
        """The task's ``Runtime``, made on first use."""
        if self._runtime is None:
            run = self.run
            self._runtime = Runtime(
                context=run.options.context,
                store=run.store,
                stream_writer=run.write_custom,
                execution_info=ExecutionInfo(
                    checkpoint_id=run.checkpoint_id,
                    checkpoint_ns=self.namespace,
                    task_id=self.id,
                    thread_id=run.options.thread or None,
                    run_id=run.id,
                    node_attempt=self.attempt,
                ),
            )
        return self._runtime

    def send(self, writes: Sequence[tuple[str, Any]]) -> None:
        """Write to channels beside what the node returns."""
        self.extra = [*(self.extra or ()), *writes]

    def read(self, select: Sequence[str] | str, fresh: bool = False) -> Any:
        """The values of these keys; ``fresh``: with what this task has sent so far."""
        live, managed = self.run.live, self.run.plan.managed
        channels = written(live.channels, self.extra or ()) if fresh else live.channels
        if isinstance(select, str):
            return managed[select].get(live) if select in managed else read(channels, select)
        values = read(channels, [key for key in select if key not in managed])
        values.update((key, managed[key].get(live)) for key in select if key in managed)
        return values

    def push_message(self, message: Any, state_key: str | None) -> None:
        """Write a message to the state beside what the node returns."""
        if state_key is not None:
            self.send([(state_key, message)])

    def interrupt(self, value: Any, response_schema: Any) -> Any:
        """The answer to the task's next question, or ``GraphInterrupt`` when there is none yet."""
        namespace, number, home = self.namespace, self.asked, self.outermost
        self.asked += 1
        identifier = interrupt_id(namespace, number)
        first = interrupt_id(namespace)
        answer = home.run.answer(identifier, home.task)
        if answer is not MISSING:
            try:
                return validate_response(response_schema, answer)
            except Exception:  # the question stays open, whatever becomes of the error
                question = self._question(value, identifier, response_schema)
                home.run.refuse(question, first, home.task)
                raise
        home.run.note_first(identifier, first)
        raise GraphInterrupt((self._question(value, identifier, response_schema),))

    def _question(self, value: Any, identifier: str, response_schema: Any) -> Interrupt[Any]:
        return Interrupt(value, identifier, response_schema=response_json_schema(response_schema))


async def execute(host: Host, run: Surroundings, task: Task) -> list[tuple[str, Any]]:
    """Run a task to its writes.

    Raises:
        Whatever the node raises, after its retry policies gave up; ``GraphInterrupt`` when it asks;
        ``NodeCancelledError`` when it raises ``CancelledError`` and nobody cancelled it.
    """
    body: Body = task.node.body
    if body.inline:
        return body.writes(task.input)
    scope = Scope(run, task)
    token = CURRENT.set(scope)
    try:
        if not body.retry:
            if run.options.tracer is not None:
                return await _followed(host, run, task, body, scope)
            return await _attempt(host, run, task, body, scope)
        return await _with_retries(host, run, task, body, scope)
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
    writes = body.writes(result)
    if scope.extra:
        writes.extend(scope.extra)
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


async def _with_retries(
    host: Host, run: Surroundings, task: Task, body: Body, scope: Scope
) -> list[tuple[str, Any]]:
    while True:
        try:
            if run.options.tracer is not None:
                return await _followed(host, run, task, body, scope)
            return await _attempt(host, run, task, body, scope)
        except GraphBubbleUp:
            raise
        except Exception as error:
            policy = matching_policy(body.retry, error)
            if policy is None or scope.attempt >= policy.max_attempts:
                raise
            await host.sleep(delay_before(policy, scope.attempt, host.entropy))
        scope.attempt += 1
        scope.asked = scope.graphs = 0
        scope.extra = scope.span = scope._config = None
        scope._runtime = None  # it says which attempt this is
