"""Errors of states and graphs: a value that breaks a rule, a graph that a thread cannot go on with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from dashflow.errors.base import DashFlowError


class Obstacle(NamedTuple):
    """Why a thread cannot go on with a graph.

    Attributes:
        kind: ``node``, ``edge``, ``task``, ``question``, ``key``, ``value``, ``state``, ``pinned`` or
            ``migration``.
        name: Of the node or key; "" for none.
        problem: What would be wrong.
        remedy: What to do.
    """

    kind: str
    name: str
    problem: str
    remedy: str


class IncompatibleGraphError(DashFlowError):
    """The thread was left by another version of the graph, and this one would do something silently wrong
    with it. No node ran and nothing was recorded: the thread goes on with the version that it knows.

    Attributes:
        thread: The thread.
        obstacles: Everything that is in the way.
    """

    code = "INCOMPATIBLE_GRAPH"

    def __init__(self, thread: str, ns: str, changed: str, obstacles: Sequence[Obstacle]) -> None:
        where = f" (in {ns!r})" if ns else ""
        told = "; ".join(f"{one.problem}: {one.remedy}" for one in obstacles)
        super().__init__(
            f"Thread {thread!r}{where} cannot go on with this version of the graph. {told}. "
            f"{f'Changed: {changed}. ' if changed else ''}Nothing was done; the version of the graph that it "
            "was left by can still go on with it.",
            thread=thread,
            ns=ns,
            obstacles=[one._asdict() for one in obstacles],
        )
        self.thread = thread
        self.obstacles = tuple(obstacles)


class StateValidationError(DashFlowError, ValueError):
    """A value of the state breaks a rule that its schema has for it. Nothing of the update was taken.

    Attributes:
        node: Who wrote it: a node, ``input``, ``context``, ``update_state``, or ``load`` for what
            was stored.
        field: Path of the field, as in ``order.items[2].price``.
        value: The value there.
        rule: The rule, as in ``>= 0``.
    """

    code = "STATE_VALIDATION"

    def __init__(self, node: str, field: str, value: object, rule: str) -> None:
        shown = repr(value)
        shown = shown if len(shown) <= 200 else f"{shown[:200]}..."
        who = {
            "input": "The input",
            "load": "The stored state",
            "update_state": "The update",
            "context": "The context",
        }.get(node, f"Node {node!r}")
        super().__init__(
            f"{who} has {shown} for {field!r}, which must be {rule}. Nothing of it was taken.",
            node=node,
            field=field,
            value=shown,
            rule=rule,
        )
        self.node = node
        self.field = field
        self.value = value
        self.rule = rule
