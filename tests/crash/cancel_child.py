"""A process that runs a graph until somebody cancels it: ``cancel_child.py LOG THREAD KIND``.

Says "begun" when the node runs, and how the run ended.
"""

import asyncio
import sys
import threading
from typing import TypedDict

from dashflow.checkpoint.sqlite import SqliteSaver
from dashflow.errors import RunCancelledError
from dashflow.graph import END, START, StateGraph


class State(TypedDict):
    n: int


def say(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def asleep(state: State):
    say("begun")
    await asyncio.sleep(3600)


def busy(state: State):
    say("begun")
    threading.Event().wait(1)
    return {"n": 99}


def stuck(state: State):
    say("begun")
    threading.Event().wait(3600)


NODES = {"asleep": asleep, "busy": busy, "stuck": stuck}


def step(state: State):
    return {"n": state["n"] + 1}


def again(state: State):
    if state["n"] == 5:
        say("begun")
    return "step"


def build(saver, kind):
    graph = StateGraph(State)
    if kind == "loop":
        graph.add_node("step", step)
        graph.add_conditional_edges("step", again, ["step", END])
    else:
        graph.add_node("step", NODES[kind])
    graph.add_edge(START, "step")
    return graph.compile(checkpointer=saver, name="endless")


def main(path, thread, kind):
    config = {"recursion_limit": 10**9, "configurable": {"thread_id": thread}}
    with SqliteSaver.from_conn_string(path) as saver:
        graph = build(saver, kind)
        try:
            if kind == "asleep":
                asyncio.run(graph.ainvoke({"n": 0}, config, durability="sync"))
            else:
                graph.invoke({"n": 0}, config, durability="sync")
        except RunCancelledError as error:
            say(f"cancelled: {error.reason}")


if __name__ == "__main__":
    main(*sys.argv[1:])
