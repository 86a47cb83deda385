"""What the ``batch`` commands have to say, as plain frozen data; ``views`` says what holds for its fields."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from dashflow.batch.core.state import BatchState, BatchStatus
from dashflow.cli.exits import Exit
from dashflow.cli.options import Settings
from dashflow.cli.views import SCHEMA, STOPPED, command_line, seconds_between, timestamp


class BatchView(msgspec.Struct, frozen=True):
    """A batch as the ``batch`` commands tell of it.

    ``status`` is ``stopped`` also for one that could go on and that nobody runs. ``accepted`` counts the
    items so far, all of them if ``input_ended``. ``owner`` is empty when nobody alive works on it.
    ``exit_code`` is there when the command worked on the batch. ``next`` holds commands to try.
    """

    schema: int
    batch: str
    status: str
    work: str
    target: str
    source: str
    accepted: int
    input_ended: bool
    completed: int
    failed: int
    open: int
    reason: str
    owner: str
    created_at: str
    updated_at: str
    ended_at: str | None
    seconds: float | None
    log: str
    next: tuple[str, ...]
    exit_code: int | UnsetType = UNSET


class BatchList(msgspec.Struct, frozen=True):
    """The batches of a log, the one started last in front."""

    schema: int
    log: str
    batches: tuple[BatchView, ...]


class ResultRow(msgspec.Struct, frozen=True):
    """A line of ``batch results``."""

    index: int
    key: str
    attempts: int
    value: Any


class FailureRow(msgspec.Struct, frozen=True):
    """A line of ``batch results --failed``; ``value`` is the item itself."""

    index: int
    key: str
    attempts: int
    kind: str
    message: str
    value: Any


def batch_view(
    state: BatchState, settings: Settings, log: str, owner: str, code: int | UnsetType = UNSET
) -> BatchView:
    """A batch for people and programs."""
    running = state.status is BatchStatus.RUNNING
    return BatchView(
        schema=SCHEMA,
        batch=state.name,
        status=STOPPED if running and not owner else state.status.value,
        work=state.work,
        target=state.target,
        source=state.source,
        accepted=state.count,
        input_ended=state.ended,
        completed=state.completed,
        failed=state.failed,
        open=state.open,
        reason=state.reason,
        owner=owner,
        created_at=timestamp(state.created_at),
        updated_at=timestamp(state.updated_at),
        ended_at=timestamp(state.ended_at) if state.ended_at else None,
        seconds=seconds_between(state.created_at, state.ended_at),
        log=log,
        next=_next(state, settings, owner),
        exit_code=code,
    )


def exit_of_batch(state: BatchState) -> Exit:
    """The exit code of a command that worked on a batch until it stood like this."""
    if state.status is BatchStatus.COMPLETED:
        return Exit.FAILED if state.failed else Exit.DONE
    if state.status in (BatchStatus.STOPPED, BatchStatus.CANCELLED):
        return Exit.FAILED
    return Exit.INTERRUPTED


def _next(state: BatchState, settings: Settings, owner: str) -> tuple[str, ...]:
    """Commands that make sense now, the most useful in front."""
    lines = []
    if not state.over and not owner:
        lines.append(command_line(settings, "batch", "resume", state.name))
    if state.failed:
        lines.append(command_line(settings, "batch", "results", state.name, "--failed"))
        if state.status is not BatchStatus.CANCELLED:
            lines.append(command_line(settings, "batch", "retry", state.name, "--resume"))
    if state.completed:
        lines.append(command_line(settings, "batch", "results", state.name))
    return tuple(lines)
