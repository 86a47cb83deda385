"""Setting: what a run is to its tasks: names, config, answers, streams. Its flow is in
``dashflow.engine.run``.

Decides nothing about what happens next, and writes nothing down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from dashflow._util.ids import former_task_id, old_task_id, task_id
from dashflow._util.reserved import (
    CONFIG_KEY_READ,
    CONFIG_KEY_RUNTIME,
    CONFIG_KEY_SCRATCHPAD,
    CONFIG_KEY_SEND,
    CONFIG_KEY_TASK_ID,
    PUSH,
    TASKS,
)
from dashflow.checkpoint.thread import stream_of
from dashflow.checkpoint.view import mapped, metadata_of, naming, parent_name, timestamp
from dashflow.core.fold import ThreadState
from dashflow.core.ids import checkpoint_id
from dashflow.core.moved import Moved
from dashflow.core.plan import GraphPlan
from dashflow.core.superstep import Live, Task, read
from dashflow.engine.answers import Answers
from dashflow.engine.halt import Halt
from dashflow.engine.history import History, Pen
from dashflow.engine.parts import Audience, Part, Parts
from dashflow.engine.payloads import checkpoint_shown, interrupts_of, result_of, task_ended, task_started
from dashflow.engine.ports import Crew, Host
from dashflow.engine.replay import Replay
from dashflow.engine.task import Scope
from dashflow.options import RunOptions
from dashflow.runtime import RunControl
from dashflow.types.interrupts import Interrupt
from dashflow.types.snapshots import PregelTask

if TYPE_CHECKING:
    from dashflow.engine.meter import Meter


class Setting:
    """See the file's head; arguments as for ``GraphRun``.

    Attributes:
        interrupts: What was asked in this run.
        live: The channels.
        answers: What was answered.
        lent: The history that graphs inside are given theirs from; None when nothing is kept.
        around: The checkpoints of the graphs around, by namespace.
        replay: The run's going back to an old checkpoint, if it does.
        resuming: Whether the step goes on from earlier work; None once the first step is complete.
        root: Names the input, fork or edit that led here, as ``ThreadState.root`` or by its version and time;
            "" if not known.
        unseen: Whether the run was taken over from a dead owner: nobody looked at it since it stopped.
        origin: The state that the run went on from; None for none, and once it made a checkpoint.
        moved: How the thread was brought to this graph for an edit that is being made.
        former: What nodes and channels were called when the present step began, see ``ThreadState``.
        halt: Whether the run is being cancelled.
        meter: Counts what it uses; None without a budget.
    """

    former: Mapping[str, str] = {}
    moved: Moved | None = None

    def __init__(
        self,
        host: Host,
        plan: GraphPlan,
        options: RunOptions,
        parts: Parts,
        history: History | None,
        store: Any,
        outer: Scope | None,
        namespace: str,
    ) -> None:
        self.host = host
        self.plan = plan
        self.options = options
        self.store = store
        self.outer = outer
        self.namespace = namespace
        self.interrupts: list[Interrupt[Any]] = []
        self.live = Live({}, {}, {}, None, -1)
        self.origin: ThreadState | None = None
        self.around: dict[str, str] = {}
        self.replay: Replay | None = None
        self.resuming: bool | None = False
        self.unseen = False
        self.root: str | tuple[int, int] = ""
        self.lent = history
        self.audience: Audience | None = None
        self.stopping = False
        self._control = options.control
        self.cache: Any = None
        given_id = options.config.get("run_id")
        self.id = str(given_id) if given_id else f"{host.now():x}-{host.entropy():016x}"
        self.meter: Meter | None = options.meter if outer is None else outer.run.meter
        self.halt = Halt(options.thread, self.id) if outer is None else outer.run.halt
        if outer is None:
            self.answers = Answers()
            self.around = dict(options.around)
        else:
            around = outer.run
            self.answers = Answers(around.answers, outer.task.key)
            self.around = {**around.around, around.namespace: around.checkpoint_id}
            self.replay, self.resuming = around.replay, around.resuming
            self.unseen = around.unseen
            self.lent = history or around.lent
            self.audience = around.audience
        if self.audience is not None or namespace:
            parts.overheard_by(self.audience, namespace)
        self._parts = parts
        self._history = history
        self._crew: Crew | None = None
        self._mutex = host.mutex()
        self._named = stream_of(options.thread, namespace) if history is not None else namespace or self.id
        # A graph inside a task gets the same names whenever that task runs again.
        self._place = (0, host.now() if outer is None else 0)
        # Checkpoints that were not made by a run here have names of their own.
        self._names: dict[tuple[int, int], str] = {}
        self.identify = task_id
        self._before: str | None = None
        self._source = "loop"
        self._attentive = bool(parts.modes & _PROMPT) or self.audience is not None

    # -- stopping -----------------------------------------------------------------------------

    @property
    def control(self) -> RunControl:
        """Can be asked to drain the run, and those around it; made when somebody looks for it."""
        if self._control is None:
            self._control = RunControl() if self.outer is None else self.outer.run.control
        return self._control

    @property
    def draining(self) -> str | None:
        """Why no other step is to begin: somebody asked, or a run around this one is given up.

        Raises:
            RunCancelledError: Somebody cancelled the run.
            GraphInterrupt: Its budget is used up.
        """
        if self.outer is None:
            self.halt.check()
        if self.meter is not None:
            self.meter.check()
        if self._control is not None and self._control.drain_reason is not None:
            return self._control.drain_reason
        if self.outer is None:
            return None
        if self.halt.asked:
            return "cancelled"
        return "cancelled" if self.outer.closed or self.outer.run.stopping else self.outer.run.draining

    # -- names --------------------------------------------------------------------------------

    @property
    def checkpoint_id(self) -> str:
        """The checkpoint that the present step starts from."""
        return self._names.get(self._place) or checkpoint_id(self._named, *self._place)

    def look_at(self, state: ThreadState) -> None:
        """Name tasks and checkpoints as at ``state``."""
        self.identify = old_task_id if state.layout < 2 else task_id
        if state.former or self.former:
            self.former = state.former
            self.identify = partial(former_task_id, state.former, self.identify)
        self._named = stream_of(self.options.thread, self.namespace)
        self._place = (state.checkpoint, state.at)
        self._names[self._place] = state.id or (state.home and checkpoint_id(state.home, *self._place))

    def parent_of(self, state: ThreadState) -> str | None:
        """Id of the checkpoint before the one that a state is at."""
        return parent_name(self._named, state)

    def made(self, source: str, pen: Pen) -> None:
        """A checkpoint was made."""
        parts = self._parts
        if parts.modes and self.options.durability != "exit" and parts.hears("checkpoints"):
            self._before = self.checkpoint_id if self._place[0] else None
        self._place = (pen.version, pen.at)
        self._source = source
        self.origin = None
        self.identify = task_id
        if self.former:
            self.former = {}

    async def confirm(self, host: Host) -> None:
        """See ``Surroundings``: without a run nothing is anybody's."""

    def task_config(self, scope: Scope) -> dict[str, Any]:
        """A new ``RunnableConfig`` for a task."""
        given, task, namespace = self.options.config, scope.task, scope.namespace
        metadata = {
            "langgraph_step": self.live.step,
            "langgraph_node": task.name,
            "langgraph_triggers": _triggers(task),
            "langgraph_path": task.path,
            "langgraph_checkpoint_ns": namespace,
        }
        config = {
            **given,
            "metadata": {**given.get("metadata", {}), **metadata, **task.node.metadata},
            "tags": [*given.get("tags", ()), *task.node.tags],
            "configurable": {
                **given["configurable"],
                "checkpoint_ns": namespace,
                "checkpoint_id": None,
                "checkpoint_map": {**self.around, self.namespace: self.checkpoint_id},
                CONFIG_KEY_TASK_ID: scope.id,
                CONFIG_KEY_SEND: scope.send,
                CONFIG_KEY_READ: scope.read,
                CONFIG_KEY_RUNTIME: scope.runtime,
                CONFIG_KEY_SCRATCHPAD: scope,
            },
        }
        config.pop("run_id", None)  # the run's own, not for what runs inside of it
        config.pop("run_name", None)
        return config

    def call(self, scope: Scope, node: Any, given: Any) -> Any:
        """See ``Step.call``; who only looks at a thread runs nothing."""
        raise RuntimeError("No run is going on here that could call a task.")

    def step(self, scope: Scope, node: Any, given: Any, asynchronous: bool) -> Any:
        """See ``Step.step``."""
        raise RuntimeError("No run is going on here that could have steps.")

    # -- streams ------------------------------------------------------------------------------

    def write_custom(self, value: Any) -> None:
        """Send a value to the ``custom`` stream, if anybody listens."""
        if "custom" in self._parts.modes:
            self.later(lambda: self._parts.put("custom", value))

    def attend(self) -> None:
        """Show parts as soon as they are there, and not only when a task is done."""
        self._attentive = True

    def listen(self, modes: frozenset[str]) -> None:
        """Let graphs inside this one's tasks send their parts of these modes to this run's caller."""
        self.audience = Audience(modes, self.overhear)
        self._attentive = True

    def overhear(self, part: Part) -> None:
        """Take a part from elsewhere; may be called from any thread."""
        self.later(lambda: self._parts.waiting.append(part))

    def later(self, show: Callable[[], None]) -> None:
        """Show something in the order of what happens; may be called from any thread."""
        crew = self._crew
        if crew is not None:
            crew.post(show)
        else:
            show()

    def show_started(self, tasks: Sequence[Task]) -> None:
        """Tasks start: for who listens to ``tasks``."""
        if not self._parts.hears("tasks"):
            return
        for task in tasks:
            if not task.node.hidden:
                scope = task.scope = task.scope or Scope(self, task)
                payload = task_started(scope.id, task.name, task.input, _triggers(task), scope.config)
                self._detail("tasks", payload, "task", self.live.step)

    def show_ended(
        self, task: Task, *, error: BaseException | None = None, interrupts: Sequence[Interrupt[Any]] = ()
    ) -> None:
        """A task came to its end: for who listens to ``tasks``."""
        if not self._parts.hears("tasks") or task.node.hidden:
            return
        scope = task.scope or Scope(self, task)
        writes = task.writes or ()
        payload = task_ended(
            scope.id, task.name, self.plan.stream, writes=writes, error=error, interrupts=interrupts
        )
        self._detail("tasks", payload, "task_result", self.live.step)

    def show_checkpoint(self, tasks: Sequence[Task]) -> None:
        """The checkpoint that the step starts from: for who listens to ``checkpoints``."""
        if self._history is None or not self._parts.hears("checkpoints"):
            return
        step, state = self.live.step - 1, self.origin
        if state is None:
            metadata = {"source": self._source, "step": step, "parents": dict(self.around)}
            before = self._before
        else:
            metadata, before = metadata_of(state), self.parent_of(state)
        thread = self.options.thread
        plain = {
            k: v for k, v in self.options.config["configurable"].items() if not k.startswith("__pregel_")
        }
        configs = [
            None
            if name is None
            else {
                "configurable": {
                    **plain,
                    **mapped(naming(thread, self.namespace, name), self.around)["configurable"],
                }
            }
            for name in (self.checkpoint_id, before)
        ]
        payload = checkpoint_shown(
            config=configs[0] or {},
            parent=configs[1],
            values=read(self.live.channels, self.plan.stream),
            metadata=metadata,
            tasks=self.rows(tasks, self.origin),
        )
        self._detail("checkpoints", payload, "checkpoint", step)

    def rows(self, tasks: Sequence[Task], state: ThreadState | None) -> list[PregelTask]:
        """Tasks as people see them, with what ``state`` knows of them."""
        rows = []
        for task in tasks:
            scope = task.scope or Scope(self, task)
            writes = error = inside = None
            asked: tuple[Interrupt[Any], ...] = ()
            if state is not None:
                writes = state.done.get(task.key)
                asked = interrupts_of(state.questions.get(task.key, ()))
                error = state.errors.get(task.key)
            if getattr(task.node.source, "subgraphs", None):
                inside = {
                    "configurable": {"thread_id": self.options.thread, "checkpoint_ns": scope.namespace}
                }
            result = None if writes is None else result_of(writes, self.plan.stream)
            rows.append(PregelTask(scope.id, task.name, task.path, error, asked, inside, result))  # type: ignore[arg-type]  # a config, by its keys
        return rows

    def _detail(self, mode: str, payload: Any, kind: str, step: int) -> None:
        self._parts.detail(mode, payload, kind=kind, step=step, at=timestamp(self.host.now()))


_PROMPT = frozenset({"custom", "messages", "tools"})
"""Modes whose parts come while tasks run."""


def _triggers(task: Task) -> tuple[str, ...]:
    """What woke a task, as people see it: a packet's task was pushed."""
    return (PUSH,) if task.triggers == (TASKS,) else task.triggers
