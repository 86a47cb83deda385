"""The catalogue of changes to a graph with threads in flight: one table, run by tests and by a comparison.

Needs nothing but the package whose name it is given: the same rows run on DashFlow and on LangGraph. A row is
right when the thread ends as its ``right`` says; how a package may refuse is not its matter.
"""

from __future__ import annotations

import json
import operator
import sys
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from types import SimpleNamespace
from typing import Annotated, Any, Literal

from tests.behaviour.changing import (
    ASKED,
    FANNED,
    SLOW,
    Model,
    Part,
    Priced,
    State,
    Stricter,
    Wider,
    around,
    ask_then_pay,
    asks,
    asks_else,
    build,
    chain,
    failing,
    fan,
    graph_inside,
    joined,
    keys,
    modelled,
    pays,
    plain,
    renames,
    says,
    schema,
    sends,
    slow_fan,
    upcast,
    value_chain,
)

CONFIG = {"configurable": {"thread_id": "t"}}


def package(name: str) -> SimpleNamespace:
    """What a row is built with."""
    graph, types = import_module(f"{name}.graph"), import_module(f"{name}.types")
    saver = import_module(f"{name}.checkpoint.memory").InMemorySaver
    return SimpleNamespace(
        name=name,
        StateGraph=graph.StateGraph,
        START=graph.START,
        END=graph.END,
        Send=types.Send,
        Command=types.Command,
        interrupt=types.interrupt,
        InMemorySaver=saver,
    )


@dataclass
class Row:
    """One kind of change.

    Attributes:
        name: What is changed, for people.
        stop: How the thread was stopped: ``asks``, ``failed`` or ``between`` (two steps).
        before: Builds the graph that it began with.
        after: Builds the graph that goes on.
        right: The keys that the thread's values must have at its end, as someone who wrote both graphs means.
        outcome: What DashFlow does: ``continues``, ``asks anew``, or ``refused`` and why.
        declared: What to give ``compile`` so that it continues; a function of ``Migration``.
        given: The input.
        options: For the first ``compile``.
    """

    name: str
    stop: str
    before: Callable[[Any], Any]
    after: Callable[[Any], Any]
    right: dict[str, Any]
    outcome: str = "continues"
    declared: Callable[[Any], dict[str, Any]] | None = None
    given: dict[str, Any] = field(default_factory=lambda: {"amount": 42})
    options: dict[str, Any] = field(default_factory=dict)


SUM = {"total": 42, "log": ["ask: yes", 42]}
TWICE = Annotated[list, operator.add]

ROWS = [
    Row(
        "a node is added behind the one that waits",
        "asks",
        ask_then_pay,
        lambda g: chain(g, collect=says("collect"), ask=asks(g, "ask"), check=says("check"), pay=pays),
        {"log": ["collect", "ask: yes", "check", "paid 42"]},
    ),
    Row(
        "a node is added before the one that waits",
        "asks",
        ask_then_pay,
        lambda g: chain(g, collect=says("collect"), check=says("check"), ask=asks(g, "ask"), pay=pays),
        ASKED,
    ),
    Row(
        "a finished node is renamed",
        "asks",
        ask_then_pay,
        lambda g: chain(g, gather=says("gather"), ask=asks(g, "ask"), pay=pays),
        ASKED,
    ),
    Row(
        "a node not yet reached is renamed",
        "asks",
        ask_then_pay,
        lambda g: chain(g, collect=says("collect"), ask=asks(g, "ask"), settle=pays),
        ASKED,
    ),
    Row(
        "the node that waits is renamed",
        "asks",
        ask_then_pay,
        lambda g: chain(g, collect=says("collect"), approve=asks(g, "ask"), pay=pays),
        ASKED,
        "refused: node",
        renames(ask="approve"),
    ),
    Row(
        "the node that waits is removed",
        "asks",
        ask_then_pay,
        lambda g: chain(g, collect=says("collect"), pay=pays),
        {"log": ["collect", "paid 42"]},
        "refused: node",
    ),
    Row(
        "the node that failed is renamed",
        "failed",
        lambda g: failing(g, "book"),
        lambda g: failing(g, "order", says("ordered")),
        {"log": ["collect", "ordered", "paid 42"]},
        "refused: node",
        renames(book="order"),
    ),
    Row(
        "the node that failed is mended",
        "failed",
        lambda g: failing(g, "book"),
        lambda g: failing(g, "book", says("booked")),
        {"log": ["collect", "booked", "paid 42"]},
    ),
    Row(
        "the node that comes next is renamed",
        "between",
        lambda g: failing(g, "book", says("booked")),
        lambda g: failing(g, "order", says("ordered")),
        {"log": ["collect", "ordered", "paid 42"]},
        "refused: node",
        renames(book="order"),
        options={"interrupt_before": ["book"]},
    ),
    Row(
        "code of a node not yet reached is changed",
        "asks",
        ask_then_pay,
        lambda g: ask_then_pay(g, pay=lambda state: {"log": [f"paid {state['amount']}.00"]}),
        {"log": ["collect", "ask: yes", "paid 42.00"]},
    ),
    Row(
        "the edge behind the waiting node is removed",
        "asks",
        ask_then_pay,
        lambda g: build(
            g,
            State,
            {"collect": says("collect"), "ask": asks(g, "ask"), "pay": pays},
            [(g.START, "collect"), ("collect", "ask"), ("collect", "pay")],
        ),
        {"log": ["collect", "ask: yes"]},
    ),
    Row(
        "an edge becomes conditional",
        "asks",
        ask_then_pay,
        lambda g: build(
            g,
            State,
            {"collect": says("collect"), "ask": asks(g, "ask"), "pay": pays},
            [(g.START, "collect"), ("collect", "ask"), ("ask", lambda state: "pay")],
        ),
        ASKED,
    ),
    Row(
        "a key is renamed",
        "asks",
        lambda g: value_chain(g, int, plain),
        lambda g: chain(g, schema(total=int), ask=asks(g, "ask"), pay=lambda s: {"log": [s.get("total")]}),
        SUM,
        "refused: key",
        keys(amount="total"),
    ),
    Row(
        "a key that nobody needs is removed",
        "asks",
        lambda g: value_chain(g, int, plain),
        lambda g: chain(g, schema(), ask=asks(g, "ask"), pay=says("paid")),
        {"log": ["ask: yes", "paid"]},
    ),
    Row(
        "a key is added",
        "asks",
        lambda g: value_chain(g, int, plain),
        lambda g: chain(
            g,
            schema(amount=int, note=str),
            ask=asks(g, "ask"),
            pay=lambda s: {"log": [s["amount"], s.get("note")]},
        ),
        {"log": ["ask: yes", 42, None]},
    ),
    Row(
        "a key is replaced by one of another type",
        "asks",
        lambda g: value_chain(g, int, plain),
        lambda g: chain(g, schema(notes=list), ask=asks(g, "ask"), pay=lambda s: {"log": [s.get("notes")]}),
        {"log": ["ask: yes", None]},
    ),
    Row(
        "a number becomes an appended list",
        "asks",
        lambda g: value_chain(g, int, plain),
        lambda g: value_chain(g, TWICE, plain, amount=[1]),
        {"log": ["ask: yes", [42, 1]]},
        "refused: value",
        upcast(amount=lambda value: [value]),
    ),
    Row(
        "a number becomes a text",
        "asks",
        lambda g: value_chain(g, int, plain),
        lambda g: value_chain(g, str, lambda s: "EUR " + s["amount"]),
        {"log": ["ask: yes", "EUR 42"]},
        "refused: value",
        upcast(amount=str),
    ),
    Row(
        "a whole number may be a fraction",
        "asks",
        lambda g: value_chain(g, int, plain),
        lambda g: value_chain(g, float, plain),
        {"log": ["ask: yes", 42]},
    ),
    Row(
        "a list gets a reducer",
        "asks",
        lambda g: value_chain(g, list, plain),
        lambda g: value_chain(g, TWICE, plain, amount=[2]),
        {"log": ["ask: yes", [1, 2]]},
        given={"amount": [1]},
    ),
    Row(
        "a reducer becomes another one for the same type",
        "asks",
        lambda g: value_chain(g, TWICE, plain),
        lambda g: value_chain(g, Annotated[list, joined], plain, amount=[1, 3]),
        {"log": ["ask: yes", [1, 3]]},
        given={"amount": [1]},
    ),
    Row(
        "a merged dict becomes an appended list",
        "asks",
        lambda g: value_chain(g, Annotated[dict, operator.or_], plain),
        lambda g: value_chain(g, TWICE, plain, amount=["b"]),
        {"log": ["ask: yes", ["a", "b"]]},
        "refused: value",
        upcast(amount=list),
        given={"amount": {"a": 1}},
    ),
    Row(
        "a choice that is held is no longer allowed",
        "asks",
        lambda g: value_chain(g, Literal["cash", "card"], plain),
        lambda g: value_chain(g, Literal["card", "bank"], lambda s: f"by {s['amount']}"),
        {"log": ["ask: yes", "by bank"]},
        "refused: value",
        upcast(amount=lambda value: "bank" if value == "cash" else value),
        given={"amount": "cash"},
    ),
    Row(
        "what a key holds must have more",
        "asks",
        lambda g: value_chain(g, Part, plain),
        lambda g: value_chain(g, Priced, lambda s: s["amount"].get("price")),
        {"log": ["ask: yes", 0]},
        "refused: value",
        upcast(amount=lambda value: {"price": 0, **value}),
        given={"amount": {"name": "nut"}},
    ),
    Row(
        "a model gets a field with a default",
        "asks",
        lambda g: modelled(g, Model),
        lambda g: modelled(g, Wider),
        {"log": ["yes", 42]},
    ),
    Row(
        "a model gets a field without a default",
        "asks",
        lambda g: modelled(g, Model),
        lambda g: modelled(g, Stricter),
        {"log": ["yes", 42]},
        "refused: state",
        lambda migration: {
            "version": "2",
            "migrations": [migration(since="", fill=lambda values: {"currency": "EUR"})],
        },
    ),
    Row(
        "a sibling that is done is renamed",
        "asks",
        fan,
        lambda g: fan(g, left="gauche"),
        FANNED,
        "refused: node",
        renames(left="gauche"),
    ),
    Row(
        "a key that a done sibling wrote to is removed",
        "asks",
        lambda g: fan(g, schema=schema(note=str), left_action=says("left", note="n")),
        fan,
        FANNED,
        "refused: key",
    ),
    Row(
        "where two ways meet, a third one is waited for",
        "asks",
        slow_fan,
        lambda g: build(
            g,
            State,
            {
                "left": says("left"),
                "first": says("first"),
                "wait": asks(g, "wait"),
                "more": says("more"),
                "end": says("end"),
            },
            [
                (g.START, "left"),
                (g.START, "first"),
                ("first", "wait"),
                (g.START, "more"),
                (["left", "wait", "more"], "end"),
            ],
        ),
        SLOW,
        "refused: edge",
    ),
    Row(
        "a node where two ways meet is renamed",
        "asks",
        slow_fan,
        lambda g: build(
            g,
            State,
            {"left": says("left"), "first": says("first"), "wait": asks(g, "wait"), "fin": says("end")},
            [(g.START, "left"), (g.START, "first"), ("first", "wait"), (["left", "wait"], "fin")],
        ),
        SLOW,
        "refused: edge",
        renames(end="fin"),
    ),
    Row(
        "the node that work was sent to is renamed",
        "asks",
        lambda g: sends(g, "work"),
        lambda g: sends(g, "job"),
        {"log": ["plan", "1", "2: yes"]},
        "refused: node",
        renames(work="job"),
    ),
    Row(
        "a graph inside becomes a function",
        "asks",
        lambda g: around(g, graph_inside(g)),
        lambda g: around(g, asks(g, "ask", "Delete everything?")),
        {"log": ["collect"]},
        "refused: question",
    ),
    Row(
        "a function becomes a graph inside",
        "asks",
        ask_then_pay,
        lambda g: around(g, graph_inside(g)),
        {"log": ["collect"]},
        "refused: question",
    ),
    Row(
        "a waiting node of a graph inside is renamed",
        "asks",
        lambda g: around(g, graph_inside(g)),
        lambda g: around(g, graph_inside(g, "within")),
        {"log": ["collect", "yes", "paid 42"]},
        "refused: node",
    ),
    Row(
        "the node that waits asks something else",
        "asks",
        ask_then_pay,
        lambda g: ask_then_pay(g, ask=asks_else(g)),
        {"log": ["collect"]},
        "asks anew",
    ),
    Row(
        "the waiting node is to run last from now on",
        "asks",
        ask_then_pay,
        lambda g: build(
            g,
            State,
            {"collect": says("collect"), "ask": asks(g, "ask"), "pay": pays},
            [(g.START, "collect"), ("collect", "ask"), ("ask", "pay")],
            defer=["ask"],
        ),
        ASKED,
        "refused: node",
    ),
]


def first_part(g: Any, row: Row, saver: Any, **options: Any) -> None:
    """Run a row's thread to where it stops."""
    graph = row.before(g).compile(checkpointer=saver, **row.options, **options)
    try:
        graph.invoke(row.given, CONFIG)
    except ValueError:
        if row.stop != "failed":
            raise


def second_part(g: Any, row: Row, saver: Any, **options: Any) -> dict[str, Any]:
    """Go on with it; the values at the end."""
    graph = row.after(g).compile(checkpointer=saver, **options)
    graph.invoke(g.Command(resume="yes") if row.stop == "asks" else None, CONFIG)
    return dict(graph.get_state(CONFIG).values)


def is_right(row: Row, values: dict[str, Any]) -> bool:
    """Whether a thread ended as it should."""
    return all(values.get(key) == value for key, value in row.right.items())


def outcomes(name: str) -> dict[str, str]:
    """What a package does with every row: ``right``, ``silently wrong``, or the error's class."""
    g, found = package(name), {}
    for row in ROWS:
        saver = g.InMemorySaver()
        first_part(g, row, saver)
        try:
            with warnings.catch_warnings(action="ignore"):
                values = second_part(g, row, saver)
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1].name
            found[row.name] = f"raises {type(error).__name__}" + (" in a node" if where == "<lambda>" else "")
        else:
            told = {key: values.get(key) for key in row.right}
            found[row.name] = "right" if is_right(row, values) else f"silently wrong: {told}"
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(outcomes(sys.argv[1])))
