"""``fold(state, event) -> state``: what each event of a batch changes, as a table. Pure.

Trusts events (they were decided by ``process`` on the state before them). Decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from dashflow.batch.core.events import (
    BatchCancelled,
    BatchCompleted,
    BatchPaused,
    BatchResumed,
    BatchStarted,
    BatchStopped,
    BatchSuspended,
    Event,
    InputEnded,
    ItemsAdded,
    ItemsCompleted,
    ItemsFailed,
    ItemsRequeued,
    ItemsStarted,
)
from dashflow.batch.core.items import ItemState
from dashflow.batch.core.state import BatchState, BatchStatus, Chunk


def fold(state: BatchState, event: Event) -> BatchState:
    """The state after ``event``; the one given is left as it is."""
    return _CHANGES[type(event)](state, event, {"cursor": state.cursor + 1, "updated_at": event.at})


def fold_all(events: Iterable[Event], state: BatchState | None = None) -> BatchState:
    """The state after all of ``events``, from ``state`` or from nothing."""
    state = BatchState() if state is None else state
    for event in events:
        state = fold(state, event)
    return state


def _started(state: BatchState, event: BatchStarted, changes: dict[str, Any]) -> BatchState:
    return replace(
        state,
        name=event.name,
        work=event.work,
        settings=event.settings,
        target=event.target,
        source=event.source,
        key=event.key,
        priority=event.priority,
        created_at=event.at,
        left=False,
        **changes,
    )


def _added(state: BatchState, event: ItemsAdded, changes: dict[str, Any]) -> BatchState:
    return replace(
        state,
        items=state.items.more(event.count),
        chunks=(*state.chunks, Chunk(event.first, state.cursor + 1)),
        digest=event.digest,
        keyed=state.keyed or bool(event.keys),
        **changes,
    )


def _input_ended(state: BatchState, event: InputEnded, changes: dict[str, Any]) -> BatchState:
    return replace(state, ended=True, **changes)


def _items_started(state: BatchState, event: ItemsStarted, changes: dict[str, Any]) -> BatchState:
    attempts = dict(state.attempts)
    for item in event.items:
        attempts[item] = attempts.get(item, 0) + 1
    items = state.items.set(event.items, ItemState.STARTED)
    return replace(state, items=items, attempts=attempts, **changes)


def _items_completed(state: BatchState, event: ItemsCompleted, changes: dict[str, Any]) -> BatchState:
    done = len(event.items)
    return replace(
        _without(state, event.items),
        items=state.items.set(event.items, ItemState.COMPLETED),
        completed=state.completed + done,
        finished_here=state.finished_here + done,
        **changes,
    )


def _items_failed(state: BatchState, event: ItemsFailed, changes: dict[str, Any]) -> BatchState:
    items = [failure.item for failure in event.failures]
    return replace(
        _without(state, items),
        items=state.items.set(items, ItemState.FAILED),
        failed=state.failed + len(items),
        failed_here=state.failed_here + len(items),
        finished_here=state.finished_here + len(items),
        **changes,
    )


def _without(state: BatchState, items: Iterable[int]) -> BatchState:
    """The state that keeps nothing about attempts of ``items`` any more."""
    attempts = dict(state.attempts)
    for item in items:
        attempts.pop(item, None)
    lost = state.lost
    if lost:
        gone = set(items)
        lost = {item: times for item, times in lost.items() if item not in gone}
    return replace(state, attempts=attempts, lost=lost)


def _requeued(state: BatchState, event: ItemsRequeued, changes: dict[str, Any]) -> BatchState:
    if event.items:
        items, count = state.items.set(event.items, ItemState.PENDING), len(event.items)
    else:
        items, count = state.items.replaced(ItemState.FAILED, ItemState.PENDING), state.failed
    status = BatchStatus.RUNNING if state.status is BatchStatus.COMPLETED else state.status
    return replace(state, items=items, failed=state.failed - count, status=status, ended_at=0, **changes)


def _paused(state: BatchState, event: BatchPaused, changes: dict[str, Any]) -> BatchState:
    return replace(state, status=BatchStatus.PAUSED, reason=event.reason, **changes)


def _stopped(state: BatchState, event: BatchStopped, changes: dict[str, Any]) -> BatchState:
    return replace(state, status=BatchStatus.STOPPED, reason=event.reason, **changes)


def _suspended(state: BatchState, event: BatchSuspended, changes: dict[str, Any]) -> BatchState:
    items = state.items.replaced(ItemState.STARTED, ItemState.PENDING)
    return replace(state, items=items, attempts={}, left=True, **changes)


def _resumed(state: BatchState, event: BatchResumed, changes: dict[str, Any]) -> BatchState:
    lost = dict(state.lost)
    for item in event.lost:
        lost[item] = lost.get(item, 0) + 1
    return replace(
        state,
        status=BatchStatus.RUNNING,
        settings=event.settings or state.settings,
        reason="",
        items=state.items.replaced(ItemState.STARTED, ItemState.PENDING),
        lost=lost,
        failed_here=0,
        finished_here=0,
        left=False,
        interrupted=not state.left,
        **changes,
    )


def _cancelled(state: BatchState, event: BatchCancelled, changes: dict[str, Any]) -> BatchState:
    return replace(
        state,
        status=BatchStatus.CANCELLED,
        reason=event.reason,
        attempts={},
        left=True,
        ended_at=event.at,
        **changes,
    )


def _completed(state: BatchState, event: BatchCompleted, changes: dict[str, Any]) -> BatchState:
    return replace(state, status=BatchStatus.COMPLETED, reason="", left=True, ended_at=event.at, **changes)


_CHANGES: dict[type, Callable[[BatchState, Any, dict[str, Any]], BatchState]] = {
    BatchStarted: _started,
    ItemsAdded: _added,
    InputEnded: _input_ended,
    ItemsStarted: _items_started,
    ItemsCompleted: _items_completed,
    ItemsFailed: _items_failed,
    ItemsRequeued: _requeued,
    BatchPaused: _paused,
    BatchStopped: _stopped,
    BatchSuspended: _suspended,
    BatchResumed: _resumed,
    BatchCancelled: _cancelled,
    BatchCompleted: _completed,
}
