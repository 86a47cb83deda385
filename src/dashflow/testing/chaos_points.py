"""The named points at which chaos can strike: where each is in the code, and what it means.

Nothing in the code calls these points. They are put around its functions while a ``Chaos`` is on, so that
code which runs without one is the code as it is written.
"""

from __future__ import annotations

from typing import Final

import msgspec

from dashflow.errors import UsageError


class Point(msgspec.Struct, frozen=True):
    """A named point; chaos can strike before and after it (``name.before``, ``name.after``).

    Attributes:
        name: Its name.
        means: What happens there.
        places: The functions, ``module:qualified name``; modules that are not installed are left out.
        only: Of calls with an ``Append``, those with this field set.
        background: Whether it runs on a thread of the log, where no crash of the caller can be simulated.
    """

    name: str
    means: str
    places: tuple[str, ...]
    only: str = ""
    background: bool = False


_LOGS: Final = (
    "dashflow.log.memory.log:MemoryLog",
    "dashflow.log.sqlite.log:SqliteLog",
    "dashflow.log.postgres.log:PostgresLog",
)
_WRITERS: Final = ("dashflow.log.sqlite.writer:Writer", "dashflow.log.postgres.writer:Writer")


def _of_logs(method: str) -> tuple[str, ...]:
    return tuple(f"{place}.{method}" for place in _LOGS)


def _of_writers(method: str) -> tuple[str, ...]:
    return tuple(f"{place}.{method}" for place in _WRITERS)


POINTS: Final[dict[str, Point]] = {
    point.name: point
    for point in (
        Point("append", "an append that its caller waits for", _of_logs("append")),
        Point("submit", "an append is handed over, to become durable later", _of_logs("submit")),
        Point("claim", "an append by which a run becomes the owner of a stream", _of_logs("append"), "claim"),
        Point("release", "an append by which a run gives a stream back", _of_logs("append"), "release"),
        Point(
            "commit",
            "the writer makes a group of appends durable; of logs on disk opened while chaos is on",
            _of_writers("commit"),
            background=True,
        ),
        Point(
            "heartbeat",
            "a log says that its owners live; of logs on disk opened while chaos is on",
            _of_writers("renew"),
            background=True,
        ),
        Point("read", "events of a stream are read", _of_logs("read")),
        Point("read_all", "events of the whole log are read", _of_logs("read_all")),
        Point("snapshot", "a snapshot of a stream is kept", _of_logs("keep_snapshot")),
        Point("node", "a node's code, each attempt", ("dashflow.engine.task:_attempt",)),
        Point(
            "step", "what a step calls, where its result is not recorded", ("dashflow.engine.steps:_call",)
        ),
        Point(
            "record",
            "a run records a step, a task or a question",
            ("dashflow.engine.journal:Journal.record",),
        ),
        Point(
            "accept",
            "a run records its input, before any node runs",
            ("dashflow.engine.journal:Journal.begin",),
        ),
        Point("end", "a run records its end", ("dashflow.engine.journal:Journal.end",)),
        Point(
            "recover",
            "a worker looks for runs whose process died",
            ("dashflow.engine.recovery:Recovery.look",),
        ),
    )
}


def point_of(name: str) -> tuple[Point, str]:
    """The point and the side (``before`` or ``after``) that a name speaks of.

    Raises:
        UsageError: There is no such point.
    """
    known, dot, side = name.rpartition(".")
    if not dot or side not in ("before", "after") or known not in POINTS:
        raise UsageError(
            f"There is no chaos point {name!r}. Points: "
            f"{', '.join(f'{one}.before, {one}.after' for one in POINTS)}."
        )
    return POINTS[known], side
