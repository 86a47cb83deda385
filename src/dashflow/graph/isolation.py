"""What ``add_node(..., isolation="process")`` makes of a function. Starts no process by itself."""

from __future__ import annotations

from typing import Any, cast

from dashflow.errors import UsageError
from dashflow.pregel.action import is_runnable
from dashflow.pregel.signature import wants
from dashflow.types.policies import TimeoutPolicy


def isolated(
    node: str, action: Any, how: str, limits: TimeoutPolicy | None
) -> tuple[Any, TimeoutPolicy | None]:
    """The action that calls ``action`` in a process of its own, and the limits that are left to the engine.

    Raises:
        UsageError: ``how`` is unknown; the function is no plain one, wants more than the state, or has a
            limit without progress, which is not seen from outside.
    """
    if how != "process":
        raise UsageError(f"isolation of node {node!r} must be 'process' or None, not {how!r}.", node=node)
    if is_runnable(action) or not callable(action):
        raise UsageError(
            f"Node {node!r} is to run in a process of its own and is no function; give it a function "
            "that calls it.",
            node=node,
        )
    if wants(action):
        raise UsageError(
            f"Node {node!r} runs in a process of its own and gets the state only; config, runtime, writer "
            "and store belong to this process. Take those parameters away.",
            node=node,
        )
    within: float | None = None
    if limits is not None:
        if limits.idle_timeout is not None:
            raise UsageError(
                f"Node {node!r} runs in a process of its own, whose progress is not seen: give it a "
                "run_timeout, no idle_timeout.",
                node=node,
            )
        within = cast("float | None", limits.run_timeout)
    from dashflow.hosts.isolated import Isolated  # multiprocessing is large

    return Isolated(node, action, within), None
