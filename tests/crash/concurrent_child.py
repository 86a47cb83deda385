"""A process that works on many runs at once until it is killed: ``concurrent_child.py LOG RUNS``.

Each run has ten steps. Those that are not accepted yet are started, those that other processes left are
finished by an embedded worker. Says "begun" once, and "done" when there is nothing left.
"""

import asyncio
import operator
import sys
from typing import Annotated, TypedDict

from dashflow.checkpoint.sqlite import SqliteSaver
from dashflow.graph import END, START, StateGraph
from dashflow.worker import Worker

STEPS = 10


class State(TypedDict):
    seen: Annotated[list[int], operator.add]
    n: int


async def step(state: State):
    await asyncio.sleep(0)
    return {"seen": [len(state["seen"])], "n": state["n"]}


def build(saver):
    graph = StateGraph(State)
    graph.add_node("step", step)
    graph.add_edge(START, "step")
    graph.add_conditional_edges("step", lambda state: "step" if len(state["seen"]) < STEPS else END)
    return graph.compile(checkpointer=saver, name="ten")


def say(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def work(saver, runs):
    graph = build(saver)
    known = set(saver.reader.threads())
    say("begun")
    async with Worker(graph, saver, every=0.2, concurrency=100, tell=lambda report: None):
        missing = [number for number in range(runs) if f"t{number}" not in known]
        await asyncio.gather(
            *(
                graph.ainvoke({"seen": [], "n": number}, {"configurable": {"thread_id": f"t{number}"}})
                for number in missing
            )
        )
        finished = set()
        async for record in saver.log.subscribe(category="run", types=("RunFinished",)):
            finished.add(record.stream)
            if len(finished) == runs:
                break
    say("done")


def main(path, runs):
    with SqliteSaver.from_conn_string(path) as saver:
        asyncio.run(work(saver, int(runs)))


if __name__ == "__main__":
    main(*sys.argv[1:])
