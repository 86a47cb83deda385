"""``process(state, command) -> events``: what each command of a batch leads to, as a table. Pure.

Reports about items that are finished already change nothing: each has one result or one failure. Reports
that come after a cancel change nothing either.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dashflow.batch.core import codec
from dashflow.batch.core.commands import (
    Accept,
    Begin,
    Cancel,
    Command,
    Complete,
    EndInput,
    Fail,
    Pause,
    Requeue,
    Resume,
    Settle,
    Start,
    Suspend,
)
from dashflow.batch.core.events import (
    BatchCancelled,
    BatchCompleted,
    BatchPaused,
    BatchResumed,
    BatchStarted,
    BatchStopped,
    BatchSuspended,
    Event,
    Failure,
    InputEnded,
    ItemsAdded,
    ItemsCompleted,
    ItemsFailed,
    ItemsRequeued,
    ItemsStarted,
)
from dashflow.batch.core.items import ItemState
from dashflow.batch.core.state import BatchState, BatchStatus
from dashflow.errors import BatchInputError, BatchStateError

LOST = "LOST"
"""``Failure.kind`` of an item whose attempts ended with the death of their process, again and again."""

_UNFINISHED = (ItemState.PENDING, ItemState.STARTED)


def process(state: BatchState, command: Command) -> list[Event]:
    """The events that ``command`` leads to in ``state``; empty when it changes nothing.

    Raises:
        BatchStateError: the batch's state does not allow the command.
        UsageError: settings or items that cannot be.
    """
    return _DECISIONS[type(command)](state, command)


# -- the batch ----------------------------------------------------------------------------------


def _start(state: BatchState, command: Start) -> list[Event]:
    if state.name:
        raise BatchStateError(state.name, "there already", "give the new batch a name of its own.")
    command.settings.check()
    return [
        BatchStarted(
            at=command.now,
            name=command.name,
            work=command.work,
            settings=command.settings,
            target=command.target,
            source=command.source,
            key=command.key,
            priority=command.priority,
        )
    ]


def _resume(state: BatchState, command: Resume) -> list[Event]:
    """Go on. Items that have been lost too often are given up, so that one cannot kill all who come."""
    if state.over:
        return []
    if command.settings is not None:
        command.settings.check()
    settings = None if command.settings == state.settings else command.settings
    lost = tuple(state.items.find(ItemState.STARTED))
    poisonous = tuple(
        Failure(item, state.attempts.get(item, 1), LOST, f"{times} processes died while it ran")
        for item in lost
        if (times := state.lost.get(item, 0) + 1) >= (settings or state.settings).max_lost
    )
    events: list[Event] = [BatchResumed(at=command.now, lost=lost, settings=settings)]
    return [*events, ItemsFailed(at=command.now, failures=poisonous)] if poisonous else events


def _pause(state: BatchState, command: Pause) -> list[Event]:
    _refuse_if_over(state, "paused")
    if state.status is BatchStatus.PAUSED:
        return []
    return [BatchPaused(at=command.now, reason=command.reason)]


def _suspend(state: BatchState, command: Suspend) -> list[Event]:
    return [] if state.over or state.left else [BatchSuspended(at=command.now)]


def _cancel(state: BatchState, command: Cancel) -> list[Event]:
    _refuse_if_over(state, "cancelled")
    return [BatchCancelled(at=command.now, reason=command.reason)]


def _settle(state: BatchState, command: Settle) -> list[Event]:
    if state.status is not BatchStatus.RUNNING:
        return []
    if state.ended and not state.open:
        return [BatchCompleted(at=command.now, completed=state.completed, failed=state.failed)]
    reason = state.settings.too_many(state.failed_here, state.finished_here)
    return [BatchStopped(at=command.now, reason=reason)] if reason else []


# -- its items ----------------------------------------------------------------------------------


def _accept(state: BatchState, command: Accept) -> list[Event]:
    if state.status is BatchStatus.CANCELLED or not command.count:
        return []
    if state.ended or command.first != state.count:
        raise BatchInputError(
            state.name,
            f"items from {command.first} on were offered, and {state.count} are accepted"
            + (", which is all of them" if state.ended else ""),
        )
    return [
        ItemsAdded(
            at=command.now,
            first=command.first,
            count=command.count,
            inputs=command.inputs,
            digest=command.digest,
            keys=command.keys,
            priorities=command.priorities,
        )
    ]


def _end_input(state: BatchState, command: EndInput) -> list[Event]:
    if state.ended or state.status is BatchStatus.CANCELLED:
        return []
    return [InputEnded(at=command.now, count=state.count)]


def _begin(state: BatchState, command: Begin) -> list[Event]:
    items = tuple(item for item in command.items if _unfinished(state, item))
    return [ItemsStarted(at=command.now, items=items)] if items else []


def _complete(state: BatchState, command: Complete) -> list[Event]:
    taken = {
        item: (attempts, result) for item, attempts, result in command.results if _unfinished(state, item)
    }
    if not taken:
        return []
    return [
        ItemsCompleted(
            at=command.now,
            items=tuple(taken),
            attempts=tuple(attempts for attempts, _ in taken.values()),
            results=codec.pack(result for _, result in taken.values()),
        )
    ]


def _fail(state: BatchState, command: Fail) -> list[Event]:
    taken = {failure.item: failure for failure in command.failures if _unfinished(state, failure.item)}
    return [ItemsFailed(at=command.now, failures=tuple(taken.values()))] if taken else []


def _requeue(state: BatchState, command: Requeue) -> list[Event]:
    if state.status is BatchStatus.CANCELLED:
        raise BatchStateError(state.name, "cancelled", "its dead letters cannot be tried again.")
    if command.items is None:
        return [ItemsRequeued(at=command.now)] if state.failed else []
    items = tuple(dict.fromkeys(command.items))
    others = [item for item in items if not _is(state, item, ItemState.FAILED)]
    if others:
        raise BatchStateError(
            state.name, state.status.value, f"item {others[0]} is no dead letter; only those can be requeued."
        )
    return [ItemsRequeued(at=command.now, items=items)] if items else []


def _unfinished(state: BatchState, item: int) -> bool:
    if state.status is BatchStatus.CANCELLED or not 0 <= item < state.count:
        return False
    return state.items[item] in _UNFINISHED


def _is(state: BatchState, item: int, wanted: ItemState) -> bool:
    return 0 <= item < state.count and state.items[item] is wanted


def _refuse_if_over(state: BatchState, what: str) -> None:
    if state.over:
        raise BatchStateError(state.name, state.status.value, f"it cannot be {what} any more.")


_DECISIONS: dict[type, Callable[[BatchState, Any], list[Event]]] = {
    Start: _start,
    Resume: _resume,
    Accept: _accept,
    EndInput: _end_input,
    Begin: _begin,
    Complete: _complete,
    Fail: _fail,
    Settle: _settle,
    Requeue: _requeue,
    Pause: _pause,
    Suspend: _suspend,
    Cancel: _cancel,
}
