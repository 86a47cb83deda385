"""One task of a superstep: call the node, collect its writes; and the scope its code runs in.

Written once for all hosts. May not touch the log: what a task came to is recorded by the run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

from dashflow._util.ids import interrupt_id, path_text, task_id
from dashflow._util.reserved import NS_END, NS_SEP, PUSH
from dashflow._util.scope import CURRENT
from dashflow._util.sentinel import MISSING
from dashflow.core.superstep import Live, Task
from dashflow.engine.answers import Answers
from dashflow.engine.history import History
from dashflow.engine.parts import Audience
from dashflow.engine.ports import Host
from dashflow.engine.replay import Replay
from dashflow.engine.retry import delay_before, matching_policy
from dashflow.errors import GraphBubbleUp, GraphInterrupt, NodeCancelledError, ParentCommand
from dashflow.options import RunOptions
from dashflow.runtime import ExecutionInfo, Runtime
from dashflow.types.interrupts import Interrupt, response_json_schema, validate_response
from dashflow.types.policies import RetryPolicy


class Surroundings(Protocol):
    """What a task may ask of the run it is part of (``dashflow.engine.setting.Setting``)."""

    id: str
    live: Live
    options: RunOptions
    namespace: str
    store: Any
    outer: Scope | None
    audience: Audience | None
    answers: Answers
    lent: History | None
    around: dict[str, str]
    replay: Replay | None
    resuming: bool | None

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


class Route(Protocol):
    """A conditional edge: from the state after a node to where to go."""

    asynchronous: bool
    name: str

    def read(self, live: Live, writes: Sequence[tuple[str, Any]]) -> Any:
        """What the path function is given: the state with this task's own writes."""
        ...

    def decide(self, state: Any, value: Any, scope: Scope) -> Any:
        """Call the path function; may return an awaitable when ``asynchronous``."""
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


class Scope:
    """What a running task can be asked for; everything costly is made when somebody asks."""

    __slots__ = ("_config", "_id", "_runtime", "asked", "attempt", "extra", "graphs", "run", "task")

    def __init__(self, run: Surroundings, task: Task) -> None:
        self.run = run
        self.task = task
        self.asked = 0
        self.graphs = 0
        self.attempt = 1
        self.extra: list[tuple[str, Any]] | None = None
        self._id = ""
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
            self._config = self.run.task_config(self)
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

    def read_state(self) -> Any:
        """The state as the task's node reads it now."""
        return self.task.node.read(self.run.live.channels, self.run.live)

    def push_message(self, message: Any, state_key: str | None) -> None:
        """Write a message to the state beside what the node returns."""
        if state_key is not None:
            self.extra = [*(self.extra or ()), (state_key, message)]

    def interrupt(self, value: Any, response_schema: Any) -> Any:
        """The answer to the task's next question, or ``GraphInterrupt`` when there is none yet."""
        namespace, number, answers = self.namespace, self.asked, self.run.answers
        self.asked += 1
        identifier = interrupt_id(namespace, number)
        first = interrupt_id(namespace)
        answer = answers.find(identifier, self.task.key)
        if answer is not MISSING:
            try:
                return validate_response(response_schema, answer)
            except Exception:  # the question stays open, whatever becomes of the error
                question = self._question(value, identifier, response_schema)
                answers.refuse(question, first, self.task.key)
                raise
        answers.note_first(identifier, first)
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
    scope = task.scope = task.scope or Scope(run, task)
    token = CURRENT.set(scope)
    try:
        if not body.retry:
            return await _attempt(host, run, task, body, scope)
        return await _with_retries(host, run, task, body, scope)
    except BaseException as error:
        # Known by its name: nothing here may import asyncio, and it need not be loaded.
        if type(error).__name__ == "CancelledError" and not host.cancelling():
            raise NodeCancelledError(task.name) from error
        raise
    finally:
        CURRENT.reset(token)


async def _attempt(
    host: Host, run: Surroundings, task: Task, body: Body, scope: Scope
) -> list[tuple[str, Any]]:
    free = host.asynchronous and body.asynchronous
    try:
        result = await host.call(lambda: body.call(task.input, scope, free), blocking=not free)
    except ParentCommand as upwards:  # from a graph inside this node: it is for us
        result = replace(upwards.args[0], graph=None)
    writes = body.writes(result)
    if scope.extra:
        writes.extend(scope.extra)
    for route in body.routes:
        state = route.read(run.live, writes)
        if route.asynchronous:
            if not host.asynchronous:
                raise TypeError(
                    f'No synchronous function provided to "{route.name}".'
                    "\nEither initialize with a synchronous function or invoke via the async API "
                    "(ainvoke, astream, etc.)"
                )
            decision = await host.call(lambda r=route, s=state: r.decide(s, result, scope), blocking=False)  # type: ignore[misc]
        else:
            decision = route.decide(state, result, scope)
        writes.extend(route.writes(decision))
    return writes


async def _with_retries(
    host: Host, run: Surroundings, task: Task, body: Body, scope: Scope
) -> list[tuple[str, Any]]:
    while True:
        try:
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
        scope.extra = None
        scope._runtime = None  # it says which attempt this is
