"""A dry run of going on with a thread: all that is decided before a node runs, and nothing is recorded."""

from __future__ import annotations

from dashflow.core.fingerprint import changes, fingerprint_of, parsed
from dashflow.core.fold import ThreadState
from dashflow.core.moved import Moved
from dashflow.engine.changed import Meeting
from dashflow.engine.history import History, Place
from dashflow.engine.setting import Setting
from dashflow.engine.sight import live_of
from dashflow.errors import IncompatibleGraphError, StateValidationError
from dashflow.types.fits import FitVerdict, ThreadFit

_UNFINISHED = frozenset({"running", "paused", "failed"})


async def tried(setting: Setting, history: History) -> ThreadFit:
    """Whether a thread could go on.

    Args:
        setting: Of no run; names things.
        history: The thread.
    """
    place = await history.locate(None)
    was = place.state
    problems: tuple[str, ...] = ()
    moved: Moved | None = None
    try:
        moved = await _meet(setting, history, place)
    except IncompatibleGraphError as error:
        problems = tuple(f"{one.problem}: {one.remedy}" for one in error.obstacles)
    except StateValidationError as error:
        problems = (str(error),)
    return ThreadFit(
        setting.options.thread,
        _verdict(setting, was, moved, problems),
        was.status,
        was.release,
        _changed(setting, was),
        _told(moved),
        problems,
    )


async def _meet(setting: Setting, history: History, place: Place) -> Moved | None:
    plan, moved = setting.plan, None
    meeting: Meeting | None = None
    if place.state.checkpoint and place.state.print != plan.print:
        meeting = Meeting(plan, setting.options.thread, setting.namespace, place, recorded=history.diffs)
        place, moved = meeting.place, meeting.moved
    state = place.state
    setting.look_at(state)
    setting.live = live_of(plan, state)
    if plan.rules is not None:
        plan.rules.load(setting.live.channels, None)
    if meeting is not None and state.status in _UNFINISHED:
        meeting.check(setting.live, state, fresh=False)
        await meeting.look_inside(setting, history, state)
    return moved


def _verdict(setting: Setting, was: ThreadState, moved: Moved | None, problems: object) -> FitVerdict:
    if problems:
        return "refused"
    if moved is not None:
        return "migrated"
    return "same" if was.print in ("", setting.plan.print) else "compatible"


def _changed(setting: Setting, was: ThreadState) -> tuple[str, ...]:
    before = parsed(was.shape) if was.shape else None
    return () if before is None else tuple(changes(before, fingerprint_of(setting.plan)))


def _told(moved: Moved | None) -> tuple[str, ...]:
    if moved is None:
        return ()
    told = [f"node {old!r} becomes {new!r}" for old, new in moved.nodes.items()]
    told += [f"key {old!r} becomes {new!r}" for old, new in moved.keys.items()]
    told += [f"key {name!r} is dropped" for name in moved.dropped]
    return (*told, *(f"key {name!r} gets another value" for name in moved.put))
