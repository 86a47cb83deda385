"""What the tests of replays share: a chain of nodes, a replay that records nothing, what it found first."""

import operator
from typing import Annotated, Any, TypedDict

import pytest

from dashflow.graph import START, StateGraph

SYNC = pytest.mark.parametrize("recorded", ["sync-memory", "sync-sqlite"], indirect=True)


class State(TypedDict, total=False):
    n: int
    log: Annotated[list[Any], operator.add]


def says(name: str):
    def node(state) -> dict:
        return {"log": [name]}

    return node


def chain(*names: str, schema: Any = State, make: Any = says) -> StateGraph:
    builder = StateGraph(schema)
    for name in names:
        builder.add_node(name, make(name))
    for start, end in zip((START, *names), names, strict=False):
        builder.add_edge(start, end)
    return builder


def replayed(world, builder, **options):
    """The replay of thread "t" with another graph, which records nothing."""
    before = everything(world)
    told = world.call(world.compile(builder), "replay", world.config(), **options)
    assert everything(world) == before
    return told


def everything(world):
    log = world.saver.log
    return [(r.event_id, r.data) for r in log.read_all()], log.snapshot("run-t")


def first(told):
    """Kind, step, node of the first divergence."""
    assert told.verdict == "diverged"
    found = told.divergence
    return found.kind, found.step, found.task
