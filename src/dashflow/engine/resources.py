"""Leases of a run: what its graph's ``Context`` keys hold is open from the first step to the last.

The run takes them before its loop and gives them back after it, however that ends; a graph without such keys
has no leases.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from dashflow.engine.ports import Host

if TYPE_CHECKING:
    from dashflow.managed.context import Context, Lease


class Leases:
    """The resources of one run.

    Attributes:
        values: What each ``Context`` holds for this run.
    """

    __slots__ = ("_leases", "values")

    def __init__(self) -> None:
        self.values: dict[Any, Any] = {}
        self._leases: list[Lease] = []

    async def take(self, host: Host, contexts: Sequence[Context[Any]], thread: str) -> None:
        """Open what a run of this thread needs.

        Raises:
            TypeError: An async resource in a run that is not.
            Whatever opening raises; what is open by then is closed by ``give_back``.
        """
        for context in contexts:
            lease = await host.call(partial(context.lease, thread))
            if lease.asynchronous and not host.asynchronous:
                raise TypeError(
                    f"{context.factory!r} makes an async context manager; use ainvoke, astream, ..."
                )
            self.values[context] = await host.call(lease.enter, blocking=not lease.asynchronous)
            self._leases.append(lease)

    async def give_back(self, host: Host, error: BaseException | None) -> None:
        """Close everything, the last opened first; each is told of the error that ended the run.

        Raises:
            Whatever closing raises first, after all were tried; when the run failed, its error gets a note.
        """
        first: Exception | None = None
        while self._leases:
            lease = self._leases.pop()
            try:
                await host.call(partial(lease.leave, error), blocking=not lease.asynchronous)
            except Exception as failure:  # the others are closed all the same
                if failure is not error:
                    first = first or failure
        self.values.clear()
        if first is None:
            return
        if error is None:
            raise first
        error.add_note(f"Closing a resource of the run failed, too: {first!r}")
