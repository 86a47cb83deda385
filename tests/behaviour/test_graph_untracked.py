"""Untracked values: seen by later nodes of a run, written down nowhere, whatever they are."""

import operator
import threading
from typing import Annotated, Any, TypedDict

import pytest

from dashflow.channels import UntrackedValue


class State(TypedDict, total=False):
    """A number, and something that no record can hold."""

    n: Annotated[int, operator.add]
    lock: Annotated[Any, UntrackedValue]


def opens(state):
    return {"n": 1, "lock": threading.Lock()}


def adds(state):
    return {"n": 10}


def sees(state):
    return {"n": 100 if "lock" in state else 1000}


@pytest.mark.feature("CHAN-001")
@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside another"])
def test_what_cannot_be_stored_can_be_untracked(recorded, beside, durability):
    first = ["opens", "adds"] if beside else ["opens"]
    edges = [("__start__", name) for name in first] + [(name, "sees") for name in first]
    graph = recorded.graph([opens, adds, sees] if beside else [opens, sees], edges, schema=State)
    graph = recorded.compile(graph)
    assert recorded.run(graph, {"n": 0}, durability=durability)["n"] == (111 if beside else 101)
    assert recorded.state(graph).values == {"n": 111 if beside else 101}
    recorded.reopen()
