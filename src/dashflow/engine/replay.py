"""Replay: graphs inside tasks start from what they were before the checkpoint that a run goes back to."""

from __future__ import annotations

from dashflow._util.reserved import NS_END


class Replay:
    """One run's going back.

    Args:
        checkpoint: Id of the outermost graph's checkpoint; graphs inside look for their latest one before it.
    """

    def __init__(self, checkpoint: str) -> None:
        self.checkpoint = checkpoint
        self._visited: set[str] = set()

    def first_visit(self, namespace: str) -> bool:
        """Whether the graph there starts for the first time in this run; later it goes on from its latest.

        The task's id does not count: in a loop it is another one each time.
        """
        stable = namespace.rpartition(NS_END)[0] or namespace
        if stable in self._visited:
            return False
        self._visited.add(stable)
        return True
