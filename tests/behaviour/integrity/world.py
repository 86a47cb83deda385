"""Threads worth damaging: states with numbers, texts and large values, and what is seen of them."""

import operator
from typing import Annotated, Any, TypedDict

from dashflow.checkpoint.saver import LogSaver
from dashflow.graph import START, StateGraph
from dashflow.log.base import EventLog
from dashflow.log.open import open_log
from dashflow.types import Command, interrupt

STEPS = 6


class State(TypedDict):
    n: int
    orders: Annotated[list, operator.add]
    doc: str
    note: str | None


BEGINNING = {"n": 0, "orders": [], "doc": "", "note": None}


def work(state: State) -> dict[str, Any]:
    n = state["n"]
    return {
        "n": n + 1,
        "orders": [{"to": "account", "amount": 1000 + n}],
        "doc": f"page {n} " * 3000,
        "note": f"note {n}",
    }


def ask(state: State) -> dict[str, Any]:
    return {"note": f"paid {interrupt({'pay': 1003})}"}


def graph(log: EventLog) -> Any:
    """Six steps of work, then a question."""
    built = StateGraph(State)
    built.add_node("work", work)
    built.add_node("ask", ask)
    built.add_edge(START, "work")
    built.add_conditional_edges("work", lambda state: "work" if state["n"] < STEPS else "ask")
    return built.compile(checkpointer=LogSaver(log))


def config(thread: str) -> dict[str, Any]:
    return {"configurable": {"thread_id": thread}}


def fill(db: str, *threads: str) -> None:
    """Run a thread up to its question, for each name."""
    log = open_log(db)
    app = graph(log)
    for thread in threads:
        app.invoke(dict(BEGINNING), config(thread))
    log.close()


def seen(db: str, *threads: str) -> list[Any]:
    """All that anybody can see of threads: state, questions, history.

    Raises:
        DashFlowError: It cannot be seen.
    """
    log = open_log(db)
    try:
        app = graph(log)
        found: list[Any] = []
        for thread in threads:
            now = app.get_state(config(thread))
            found.append((now.values, now.next, now.interrupts, now.created_at, now.metadata))
            for then in app.get_state_history(config(thread)):
                place = then.config["configurable"]["checkpoint_id"]
                found.append((then.values, then.next, then.metadata, place))
        return found
    finally:
        log.close()


def finished(db: str, thread: str) -> dict[str, Any]:
    """The thread's values after its question was answered, or after it went on to it and then was."""
    log = open_log(db)
    try:
        app = graph(log)
        now = app.get_state(config(thread))
        if not now.created_at:  # nothing is left of it
            app.invoke(dict(BEGINNING), config(thread))
        elif not now.interrupts:
            app.invoke(None, config(thread))
        return app.invoke(Command(resume="yes"), config(thread))
    finally:
        log.close()


def told(n: int) -> list[dict[str, Any]]:
    """The orders of a thread after so many steps."""
    return [{"to": "account", "amount": 1000 + step} for step in range(n)]
