"""Graphs that ``tests.behaviour.changes`` changes; each is built with the package that it is given."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Annotated, Any, TypedDict

import pydantic


class State(TypedDict, total=False):
    amount: int
    log: Annotated[list, operator.add]


def says(name: str, **more: Any) -> Callable[[Any], dict[str, Any]]:
    return lambda state: {"log": [name], **more}


def asks(g: Any, name: str, question: str = "Pay?", **writes: Any) -> Callable[[Any], dict[str, Any]]:
    return lambda state: {"log": [f"{name}: {g.interrupt(question)}"], **writes}


def asks_else(g: Any) -> Callable[[Any], dict[str, Any]]:
    def asks(state: Any) -> dict[str, Any]:
        return {"log": [f"deleted: {g.interrupt('Delete everything?')}"]}

    return asks


def fails(state: Any) -> dict[str, Any]:
    raise ValueError("not today")


def pays(state: Any) -> dict[str, Any]:
    return {"log": [f"paid {state.get('amount')}"]}


def build(g: Any, schema: Any, nodes: dict[str, Any], edges: list[tuple[Any, Any]], **more: Any) -> Any:
    """A graph; an edge from a function is conditional, ``defer`` names nodes."""
    builder = g.StateGraph(schema)
    for name, action in nodes.items():
        builder.add_node(name, action, defer=name in more.get("defer", ()))
    for start, end in edges:
        if callable(end):
            builder.add_conditional_edges(start, end)
        else:
            builder.add_edge(start, end)
    return builder


def chain(g: Any, schema: Any = State, **nodes: Any) -> Any:
    names = [g.START, *nodes]
    return build(g, schema, nodes, list(zip(names, nodes, strict=False)))


def ask_then_pay(g: Any, schema: Any = State, **other: Any) -> Any:
    """The usual graph; ``other`` replaces nodes."""
    return chain(g, schema, **{"collect": says("collect"), "ask": asks(g, "ask"), "pay": pays, **other})


ASKED = {"log": ["collect", "ask: yes", "paid 42"]}


def schema(**keys: Any) -> Any:
    return TypedDict("Changed", {"log": Annotated[list, operator.add], **keys}, total=False)  # type: ignore[operator]


def value_chain(g: Any, kind: Any, read: Callable[[Any], Any], **writes: Any) -> Any:
    """A graph over another type of ``amount``: asks, writes ``writes``, tells what it reads."""
    return chain(
        g,
        schema(amount=kind),
        ask=asks(g, "ask", **writes),
        pay=lambda state: {"log": [read(state)]},
    )


def plain(state: Any) -> Any:
    return state.get("amount")


# -- several tasks of one step ----------------------------------------------------------------------


def fan(g: Any, left: str = "left", wait: str = "wait", end: str = "end", **more: Any) -> Any:
    nodes = {left: more.get("left_action") or says("left"), wait: asks(g, "wait"), end: says("end")}
    kind = more.get("schema", State)
    return build(g, kind, nodes, [(g.START, left), (g.START, wait), ([left, wait], end)])


FANNED = {"log": ["left", "wait: yes", "end"]}


def slow_fan(g: Any, starts: list[str] | None = None) -> Any:
    """Two ways of different length that are joined; the longer one asks when the shorter is done."""
    nodes = {"left": says("left"), "first": says("first"), "wait": asks(g, "wait"), "end": says("end")}
    edges = [(g.START, "left"), (g.START, "first"), ("first", "wait")]
    return build(g, State, nodes, [*edges, (starts or ["left", "wait"], "end")])


SLOW = {"log": ["first", "left", "wait: yes", "end"]}


def sends(g: Any, worker: str) -> Any:
    def path(state: Any) -> list[Any]:
        return [g.Send(worker, {"amount": n}) for n in (1, 2)]

    def work(state: Any) -> dict[str, Any]:
        return {
            "log": [f"{state['amount']}: {g.interrupt(state['amount'])}"] if state["amount"] == 2 else ["1"]
        }

    return build(g, State, {"plan": says("plan"), worker: work}, [(g.START, "plan"), ("plan", path)])


# -- graphs inside ----------------------------------------------------------------------------------


def around(g: Any, inside: Any) -> Any:
    return chain(g, State, collect=says("collect"), ask=inside, pay=pays)


class Inner(TypedDict, total=False):
    amount: int
    log: Annotated[list, operator.add]


def graph_inside(g: Any, name: str = "inside") -> Any:
    return chain(g, Inner, **{name: lambda state: {"log": [g.interrupt("Pay?")]}}).compile()


# -- schemas ----------------------------------------------------------------------------------------


class Model(pydantic.BaseModel):
    amount: int = 0
    log: Annotated[list, operator.add] = []


class Stricter(Model):
    currency: str


class Wider(Model):
    currency: str = "EUR"


def modelled(g: Any, kind: Any) -> Any:
    return chain(g, kind, ask=lambda s: {"log": [g.interrupt("Pay?")]}, pay=lambda s: {"log": [s.amount]})


class Part(TypedDict):
    name: str


class Priced(TypedDict):
    name: str
    price: int


def joined(left: list[Any], right: list[Any]) -> list[Any]:
    return left + [one for one in right if one not in left]


def failing(g: Any, name: str, action: Any = fails) -> Any:
    return chain(g, State, **{"collect": says("collect"), name: action, "pay": pays})


def renames(**names: str) -> Callable[[Any], dict[str, Any]]:
    return lambda migration: {"migrations": [migration(nodes=names)]}


def keys(**names: str) -> Callable[[Any], dict[str, Any]]:
    return lambda migration: {"migrations": [migration(keys=names)]}


def upcast(**functions: Any) -> Callable[[Any], dict[str, Any]]:
    return lambda migration: {"version": "2", "migrations": [migration(since="", upcasts=functions)]}
