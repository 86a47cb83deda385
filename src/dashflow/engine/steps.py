"""Steps: functions that a task calls once (``step``), whose results are recorded with it.

A step is done where its task runs, and counts as one of the step's tasks in the log, as called functions do
(``dashflow.engine.calls``). Awaits the host port and what the user calls, nothing else.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Any, Final, Protocol

import msgspec
from xxhash import xxh3_64_hexdigest

from dashflow._util.drive import drive
from dashflow._util.reserved import PUSH, RETURN, STEP
from dashflow._util.scope import CURRENT, STEP_BRANCH
from dashflow.core.plan import NodePlan
from dashflow.core.superstep import Task
from dashflow.engine.fingerprint import fingerprint
from dashflow.engine.task import Scope, Surroundings
from dashflow.errors import (
    AmbiguousStepError,
    GraphBubbleUp,
    NodeCancelledError,
    NondeterministicStepError,
    ValueCodecError,
)
from dashflow.warnings import ChangedArgumentsWarning

Writes = Sequence[tuple[str, Any]]

UNORDERED: Final = -1
"""The number of a step whose place among the others does not have to be the same again."""


class Journaling(Surroundings, Protocol):
    """What a step may ask of the run that its task is part of (``dashflow.engine.step.Step``)."""

    def recorded(self, task: Task) -> list[tuple[str, Any]] | None:
        """What a task wrote before a crash, failure or question."""
        ...

    def all_recorded(self) -> Iterable[Writes]:
        """What all tasks wrote before that."""
        ...

    async def before_effect(self, scope: Scope) -> None:
        """Have everything that led to here on disk, as far as the run's durability allows."""
        ...

    async def after_effect(self, task: Task) -> None:
        """Record what a step came to."""
        ...


class Place(msgspec.Struct):
    """Where a step stands among those of its task.

    Attributes:
        task: The step, as a task.
        branch: See ``STEP_BRANCH``.
        number: How many of that name came before it.
        order: How many steps came before it at all; ``UNORDERED``: that depends on chance.
        given: Fingerprint of its arguments; "" when they have none.
    """

    task: Task
    branch: str
    number: int
    order: int
    given: str


class Steps:
    """The steps of one attempt at a task.

    Args:
        scope: The task's.
    """

    __slots__ = ("_alone", "_counts", "_failed", "_next", "_scope", "_script", "_shaken")

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._counts: dict[tuple[str, str], int] = {}
        self._alone: dict[tuple[str, str], object] = {}
        self._failed: dict[tuple[str, str], list[Place]] = {}
        self._next = 0
        self._shaken = False
        self._script: dict[int, str] | None = None

    @property
    def failed(self) -> list[str]:
        """Names of steps that failed in this attempt, and were not done since."""
        return [name for (_, name), places in self._failed.items() if places]

    # -- places ------------------------------------------------------------------------------------

    def place(self, node: NodePlan, given: Any) -> Place:
        """The place of the step that is called now.

        Raises:
            AmbiguousStepError: Which of several it is depends on chance.
            NondeterministicStepError: Another one was recorded at this place.
        """
        owner, named = STEP_BRANCH.get()
        branch, mark = named if owner is self._scope else "", fingerprint(list(given))
        at = (branch, node.name)
        again = self._failed.get(at, ())
        for index, failed in enumerate(again):
            if mark and failed.given == mark:  # tried again: it is still the same one
                del self._failed[at][index]
                return self._placed(node, given, branch, failed.number, failed.order, mark)
        aside = not branch and not _in_line(self._scope)
        me = object()
        # Several threads may be here: of those with one name, one gets it.
        if at in self._counts if aside else at in self._alone:
            raise AmbiguousStepError(self._scope.task.name, node.name)
        if aside and self._alone.setdefault(at, me) is not me:
            raise AmbiguousStepError(self._scope.task.name, node.name)
        number = self._counts.get(at, 0)
        self._counts[at] = number + 1
        order = UNORDERED
        if not (branch or aside or self._shaken):
            order, self._next = self._next, self._next + 1
            self._check(order, node.name)
        return self._placed(node, given, branch, number, order, mark)

    def _placed(self, node: NodePlan, given: Any, branch: str, number: int, order: int, mark: str) -> Place:
        scope = self._scope
        where = f"{number}.{xxh3_64_hexdigest(f'{branch}{chr(0)}{node.name}'.encode())}"
        task = Task(f"{scope.task.key}>{where}", node, (PUSH, scope.task.path, where, True), (PUSH,), given)
        own = task.scope = Scope(scope.run, task, scope)
        own.span, own.watch = scope.span, scope.watch  # it is a part of what the task does
        return Place(task, branch, number, order, mark)

    def _check(self, order: int, name: str) -> None:
        script = self._script
        if script is None:
            run: Any = self._scope.run
            script = self._script = dict(_script(run.all_recorded(), self._scope.task.key))
        if (expected := script.get(order, name)) != name:
            raise NondeterministicStepError(self._scope.task.name, order, recorded=expected, called=name)

    # -- results -----------------------------------------------------------------------------------

    def known(self, place: Place) -> Writes | None:
        """What was recorded of a step; None: nothing."""
        run: Any = self._scope.run
        writes: Writes | None = run.recorded(place.task)
        if writes is None:
            return None
        told = next((value for channel, value in writes if channel == STEP), None)
        if told is not None and told[5] and place.given and told[5] != place.given:
            name = place.task.name
            warnings.warn(ChangedArgumentsWarning(self._scope.task.name, name), stacklevel=_outside())
        return deepcopy(writes) if self._repeats else writes

    def done(self, place: Place, value: Any) -> None:
        """A step came to ``value``, which is to be recorded."""
        told = [
            self._scope.task.key, place.branch, place.task.name, place.number, place.order, place.given
        ]  # fmt: skip
        place.task.writes = [(RETURN, value), (STEP, told)]

    def keep(self, place: Place) -> None:
        """A step is recorded: the next attempt of this run finds it."""
        if self._repeats:
            run: Any = self._scope.run
            run.remember(place.task, deepcopy(place.task.writes or ()))

    def fail(self, place: Place) -> None:
        """A step failed. It may be tried again, and where it is not, what follows may be another time."""
        self._failed.setdefault((place.branch, place.task.name), []).append(place)
        self._shaken = True

    @property
    def _repeats(self) -> bool:
        """Whether there may be another attempt in this run, which must not find what this one altered."""
        scope: Scope | None = self._scope
        while scope is not None and not scope.task.node.policies.retry:
            scope = scope.caller
        return scope is not None


def perform(run: Journaling, scope: Scope, node: NodePlan, given: Any, asynchronous: bool) -> Any:
    """Do a step of the task of ``scope``, or find what was recorded of it.

    Args:
        run: The task's run.
        scope: The task's scope.
        node: The function, as a node.
        given: Its arguments: (positional, by name).
        asynchronous: Whether the caller awaits the result.

    Raises:
        AmbiguousStepError, NondeterministicStepError: See ``Steps.place``.
        NodeCancelledError: The time of the task that calls is over.
        TypeError: It would block an event loop, or there is no loop to await it on.
    """
    if scope.closed:
        raise NodeCancelledError(scope.task.name)
    host = run.host
    if asynchronous and not host.asynchronous:
        raise TypeError(f"Step {node.name!r} is asynchronous; run the graph by ainvoke or astream.")
    if not asynchronous and not host.blocks():
        raise TypeError(
            f"Step {node.name!r} would block the event loop until it is recorded. In async code call "
            "`await astep(name, function, ...)`."
        )
    scope.progress()
    steps, place, found = look_up(scope, node, given)
    if found is not None:
        return kept(found) if asynchronous else returned(found)
    flow = _live(run, steps, place)
    return flow if asynchronous else drive(flow)


def look_up(scope: Scope, node: NodePlan, given: Any) -> tuple[Steps, Place, Writes | None]:
    """The task's steps, the place of the one that is called now, and what was recorded of it."""
    if scope.steps is None:
        scope.steps = Steps(scope)
    place = scope.steps.place(node, given)
    return scope.steps, place, scope.steps.known(place)


def returned(writes: Writes) -> Any:
    """What a recorded step returned."""
    return next((value for channel, value in writes if channel == RETURN), None)


async def kept(writes: Writes) -> Any:
    """The same for who awaits it."""
    return returned(writes)


async def _live(run: Journaling, steps: Steps, place: Place) -> Any:
    """Do it; recorded when this returns."""
    host, task = run.host, place.task
    scope: Scope = task.scope
    caller = scope.caller
    assert caller is not None
    await _settle(run, caller)
    held = _Held(scope)
    caller.hold(held)
    token = CURRENT.set(scope)
    try:
        value = await _call(run, task)
    except GraphBubbleUp:
        raise
    except BaseException as error:
        steps.fail(place)
        error.add_note(f"During step {task.name!r} of task {caller.task.name!r}")
        raise
    finally:
        CURRENT.reset(token)
        if caller.inside is not None:
            caller.inside.remove(held)
    if caller.closed:  # its result is refused; whoever tries again has the same key
        raise NodeCancelledError(caller.task.name)
    steps.done(place, value)
    try:
        await host.inside(lambda: run.after_effect(task))
    except ValueCodecError as error:
        error.add_note(f"What step {task.name!r} of {caller.task.name!r} returned is not recorded")
        raise
    steps.keep(place)
    return value


class _Held:
    """A step, for its task: given up with it."""

    __slots__ = ("_scope",)

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def give_up(self) -> None:
        """Refuse what it still tries."""
        self._scope.close()


async def _settle(run: Journaling, scope: Scope) -> None:
    """Have everything on disk that led to an effect of this task: in its run and in those around it."""
    outer = run.outer
    if outer is not None:
        around: Any = outer.run
        await _settle(around, outer)
    await run.host.inside(lambda: run.before_effect(scope))


async def _call(run: Journaling, task: Task) -> Any:
    """Call the function: on the caller's own thread, unless that has a loop to run."""
    host, body, scope = run.host, task.node.body, task.scope
    free = host.asynchronous and body.asynchronous
    if host.asynchronous and host.blocks():
        return body.call(task.input, scope, free)
    return await host.call(lambda: body.call(task.input, scope, free), blocking=not free)


# -- names -----------------------------------------------------------------------------------------


def _script(records: Iterable[Writes], key: str) -> Iterable[tuple[int, str]]:
    """The steps of the task ``key`` that have an order: it, and their names."""
    for writes in records:
        for channel, told in writes:
            if channel == STEP and told[0] == key and told[4] != UNORDERED:
                yield told[4], told[2]


def _in_line(scope: Scope) -> bool:
    """Whether the code that asks is called by the task itself, and by no thread or task of its own making:
    only then its steps come in an order that is the same again."""
    frame = sys._getframe(2)
    while frame is not None:
        code = frame.f_code
        if code.co_filename == _ENGINE and code.co_name in _ATTEMPTS and frame.f_locals.get("scope") is scope:
            return True
        if frame.f_back is None:
            return False
        frame = frame.f_back
    return False


_ENGINE: Final = Scope.step.__code__.co_filename
_ATTEMPTS: Final = ("_attempt", "<lambda>")


def _outside() -> int:
    """Stack level of whoever called into DashFlow, as seen by ``warnings.warn`` in the caller of this."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("dashflow."):
        frame, level = frame.f_back, level + 1
    return level
