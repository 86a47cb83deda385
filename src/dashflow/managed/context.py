"""Context: a resource that a graph's nodes share, such as a client; opened and closed for them.

The engine leases what a run needs before its first step and gives it back when the run is over, however it
ends (``dashflow.engine.resources``). What is shared between runs lives here, behind a lock.
"""

from __future__ import annotations

import atexit
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, Literal, TypeVar

from dashflow.managed.base import ManagedValue, Progress

__all__ = ("Context", "Lease")

V = TypeVar("V")


class Lease:
    """The use that one run makes of a resource: ``enter`` it, and ``leave`` it once."""

    __slots__ = ("_manager", "asynchronous")

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self.asynchronous = not hasattr(manager, "__enter__")

    def enter(self) -> Any:
        """The resource; an awaitable of it when ``asynchronous``."""
        return self._manager.__aenter__() if self.asynchronous else self._manager.__enter__()

    def leave(self, error: BaseException | None) -> Any:
        """Give it back, with the error that ended the run; an awaitable when ``asynchronous``."""
        told = (type(error), error, error.__traceback__) if error is not None else (None, None, None)
        return self._manager.__aexit__(*told) if self.asynchronous else self._manager.__exit__(*told)


class _Kept:
    """A resource that is open and shared."""

    __slots__ = ("lease", "users", "value")

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.value = lease.enter()
        self.users = 0


class _Share:
    """Context manager of one user of a shared resource."""

    def __init__(self, owner: Context[Any], key: str) -> None:
        self._owner = owner
        self._key = key

    def __enter__(self) -> Any:
        return self._owner._take(self._key)

    def __exit__(self, *error: object) -> None:
        self._owner._give_back(self._key)


class Context(ManagedValue[V], Generic[V]):
    """A resource as a key of the state, in ``Annotated[Client, Context(open_client)]``.

    It is opened before the first node that runs, every node reads the same one, nothing stores it, and it is
    closed when the run is over: finished, failed, paused, cancelled, or left by who read its stream.

    Args:
        factory: Returns a context manager: a class such as ``httpx.Client``, or a function with
            ``contextlib.contextmanager``. An async one serves runs under asyncio.
        scope: Who shares one: a ``run``; the runs of a ``thread`` (conversation); all runs of the
            ``process``. Those of threads and processes are closed by ``close`` or when the process ends.
        keep: How many threads' resources stay open when nobody uses them; the ones used longest ago go first.

    Raises:
        ValueError: An unknown scope, or ``keep`` below 1.
    """

    def __init__(
        self,
        factory: Callable[[], Any],
        *,
        scope: Literal["run", "thread", "process"] = "run",
        keep: int = 64,
    ) -> None:
        if scope not in ("run", "thread", "process"):
            raise ValueError(f"scope must be 'run', 'thread' or 'process', not {scope!r}.")
        if keep < 1:
            raise ValueError("keep must be at least 1")
        self.factory = factory
        self.scope = scope
        self.keep = keep
        self._lock = threading.RLock()
        self._open: OrderedDict[str, _Kept] = OrderedDict()

    def get(self, scratchpad: Progress) -> V:  # type: ignore[override]  # of an object, not of the class
        """The resource that the run leased; None for who looks at a graph's state while it does not run."""
        value: V = scratchpad.resources.get(self)  # type: ignore[assignment]  # None: see above
        return value

    def lease(self, thread: str) -> Lease:
        """What a run of this thread uses."""
        if self.scope == "run":
            return Lease(self.factory())
        return Lease(_Share(self, thread if self.scope == "thread" else ""))

    def close(self, thread: str | None = None) -> None:
        """Close what is shared, of this thread or of all; a run that still uses it will notice.

        Raises:
            Whatever closing raises, after all of them were tried.
        """
        with self._lock:
            keys = list(self._open) if thread is None else [key for key in self._open if key == thread]
            closing = [self._open.pop(key) for key in keys]
        _leave(closing)

    def _take(self, key: str) -> Any:
        with self._lock:
            kept = self._open.get(key)
            if kept is None:
                lease = Lease(self.factory())
                if lease.asynchronous:
                    raise TypeError(f"A Context of scope {self.scope!r} needs a sync context manager.")
                if not self._open:
                    atexit.register(self.close)
                kept = self._open[key] = _Kept(lease)
            kept.users += 1
            self._open.move_to_end(key)
            return kept.value

    def _give_back(self, key: str) -> None:
        with self._lock:
            kept = self._open.get(key)
            if kept is not None:
                kept.users -= 1
            idle = [name for name, other in self._open.items() if other.users == 0]
            closing = [self._open.pop(name) for name in idle[: max(0, len(self._open) - self.keep)]]
        _leave(closing)


def _leave(resources: list[_Kept]) -> None:
    failures = []
    for kept in resources:
        try:
            kept.lease.leave(None)
        except Exception as error:  # the others are closed all the same
            failures.append(error)
    if failures:
        raise failures[0]
