"""Plan runs without an owner, for a worker. Knows the planner's face only."""

from __future__ import annotations

from collections.abc import Callable

from dashflow.errors import DashFlowError, OwnershipConflictError
from dashflow.hosts.stoppable import StoppableHost, StopRequested
from dashflow.log.base import EventLog
from dashflow.planner.core.codec import CATEGORY, run_of, stream_of
from dashflow.planner.core.state import PlannerState, RunStatus
from dashflow.planner.core.task import TaskStatus
from dashflow.planner.runs import PlanRuns
from dashflow.worker.report import Report

_GOING = frozenset({RunStatus.PLANNING, RunStatus.RUNNING})


class PlanRecovery:
    """The unfinished plan runs of one log.

    Args:
        log: The log.
        max_attempts: A run of which a task was dispatched so often without an outcome is cancelled.
    """

    def __init__(self, log: EventLog, *, max_attempts: int) -> None:
        self._log = log
        self._max_attempts = max_attempts
        self._runs = PlanRuns(log, executors=())  # looks only
        self._left: dict[str, int] = {}
        self._hosts: set[StoppableHost] = set()

    def stop(self) -> None:
        """Let what runs stop where it is; from any thread."""
        for host in [*self._hosts]:
            host.stop()

    def unfinished(self) -> list[str]:
        """Ids of runs that could go on and that nobody alive works on, the oldest first."""
        found = []
        for info in self._log.streams(category=CATEGORY):
            if info.owner or self._left.get(info.stream) == info.version:
                continue
            run = run_of(info.stream)
            state = self._runs.settle(run)
            if state.status in _GOING:
                found.append((state.created_at, run))
            else:
                self._left[info.stream] = self._log.version(info.stream)
        return [run for _, run in sorted(found)]

    def work(self, run: str, tell: Callable[[Report], None]) -> None:
        """Go on with a run until its end, or until only a person can help."""
        host = StoppableHost()
        self._hosts.add(host)
        try:
            state = self._runs.state(run)
            task, attempts = _most_tried(state)
            if attempts >= self._max_attempts:
                reason = (
                    f"Dead letter: the process that ran {task!r} died {attempts} times before it was done."
                )
                self._runs.cancel(run, reason)
                tell(Report("dead letter", "plan", run, run, attempt=attempts, text=reason))
                return
            tell(Report("taken over", "plan", run, run, attempt=attempts))
            state = PlanRuns(self._log, host=host).run(run)
        except OwnershipConflictError:
            return  # another worker was faster
        except StopRequested:
            tell(Report("put back", "plan", run, run))
        except DashFlowError as error:
            self._left[stream_of(run)] = self._log.version(stream_of(run))  # until something changes
            tell(Report("failed", "plan", run, run, text=str(error)))
        else:
            waiting = state.status is RunStatus.WAITING
            tell(Report("paused" if waiting else "finished", "plan", run, run, text=state.status.value))
        finally:
            self._hosts.discard(host)


def _most_tried(state: PlannerState) -> tuple[str, int]:
    """The task in flight that was dispatched most often, and how often; ("", 0) when none is."""
    tried = [(one.attempt, one.id) for one in state.tasks.values() if one.status is TaskStatus.RUNNING]
    attempts, task = max(tried, default=(0, ""))
    return task, attempts
