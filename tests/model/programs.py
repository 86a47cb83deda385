"""Random programs as plain data, and how they become graphs: of DashFlow, or of LangGraph where this is
imported there.

A program has nodes, each with what it writes and where it leads; a script is what a caller does with a
thread. May import nothing but the standard library: another interpreter, without DashFlow, loads this file
alone.
"""

import json
import operator
import types
from typing import Annotated, Any, TypedDict

LIMIT = 4
"""Loops go back as long as ``n`` is below."""


class State(TypedDict, total=False):
    """What programs work on; ``i`` is what a packet carries."""

    n: Annotated[int, operator.add]
    log: Annotated[list, operator.add]
    last: str
    i: int


def build(lib: Any, program: dict, *, checkpointer: Any = None) -> Any:
    """A compiled graph.

    Args:
        lib: Has ``StateGraph``, ``START``, ``END``, ``Send``, ``Command`` and ``interrupt``.
        program: See ``strategies``.
        checkpointer: As of ``compile``.
    """
    builder = lib.StateGraph(State)
    for node in program["nodes"]:
        ends = (*node.get("back", ()), lib.END)
        builder.add_node(
            node["name"], _function(lib, node), **({"destinations": ends} if "back" in node else {})
        )
    for target in program["start"]:
        builder.add_edge(lib.START, target)
    for node in program["nodes"]:
        for target in node.get("to", ()):
            builder.add_edge(node["name"], target)
        if "route" in node:
            builder.add_conditional_edges(
                node["name"], _route(lib, node["route"]), _targets(lib, node["route"])
            )
    for sources, target in program.get("joins", ()):
        builder.add_edge(list(sources), target)
    return builder.compile(checkpointer=checkpointer, name=program["name"])


def _function(lib: Any, node: dict) -> Any:
    inner = build(lib, node["inner"]) if "inner" in node else None
    name = node["name"]

    def run(state: dict) -> Any:
        update = writes_of(node, state)
        if inner is not None:
            update["log"] = [*update["log"], *inner.invoke({"n": state.get("n", 0), "log": []})["log"]]
        for number in range(node.get("asks", 0)):
            update["log"] = [*update["log"], f"{name}={lib.interrupt(f'{name}?{number}')}"]
        if "back" in node:
            return lib.Command(update=update, goto=node["back"] if state.get("n", 0) < LIMIT else [])
        return update

    run.__name__ = name
    return run


def writes_of(node: dict, state: dict) -> dict:
    """What a node writes before it asks or calls anything."""
    update: dict = {"log": [f"{node['name']}:{state.get('i', '-')}:{state.get('n', '-')}"]}
    if node.get("adds"):
        update["n"] = node["adds"]
    if node.get("last"):
        update["last"] = node["name"]
    return update


def decision(route: dict, n: int) -> list:
    """Where a conditional edge leads: names, or pairs of a name and what a packet carries."""
    if "send" in route:
        return [[route["send"], i] for i in range(1 + n % route["many"])]
    return [route["odd"] if n % 2 else route["even"]]


def _route(lib: Any, route: dict) -> Any:
    def decide(state: dict) -> Any:
        found = decision(route, state.get("n", 0))
        if "send" in route:
            return [lib.Send(name, {"i": i}) for name, i in found]
        return [lib.END if name == "END" else name for name in found]

    return decide


def _targets(lib: Any, route: dict) -> list:
    names = [route["send"]] if "send" in route else [route["odd"], route["even"]]
    return [lib.END if name == "END" else name for name in dict.fromkeys(names)]


# -- a caller ---------------------------------------------------------------------------------------


def perform(lib: Any, graph: Any, op: dict, number: int, config: dict, **more: Any) -> None:
    """Do one thing of a script."""
    kind = op["do"]
    if kind == "input":
        graph.invoke({"n": op["n"], "log": [f"in<{number}>"]}, config, interrupt_before=op["before"], **more)
    elif kind == "answer":
        asked = sorted(questions(graph.get_state(config)), key=lambda one: one.value)
        resume = {one.id: f"a<{number}>" for one in (asked[:1] if op["one"] else asked)}
        if resume:
            graph.invoke(lib.Command(resume=resume), config, **more)
    elif kind == "go on":
        if graph.get_state(config).next:
            graph.invoke(None, config, **more)
    else:
        where = config
        if op["back"]:
            states = graph.get_state_history(config)
            history = [one.config for one in states if one.metadata["source"] != "input"]
            where = history[min(op["back"], len(history) - 1)]
        graph.update_state(where, {"log": [f"up<{number}>"], "n": 1}, as_node=op["as_node"])


def told(graph: Any, config: dict) -> dict:
    """What a caller sees of the thread."""
    state = graph.get_state(config)
    return {
        "values": {key: state.values[key] for key in sorted(state.values)},
        "next": sorted(state.next),
        "asked": sorted(one.value for one in questions(state)),
    }


def questions(state: Any) -> list:
    """What is asked by tasks that are not done. (LangGraph's ``interrupts`` has those of tasks that are,
    too.)"""
    return [one for task in state.tasks if not task.result for one in task.interrupts]


def outcome(lib: Any, saver: Any, program: dict, script: list) -> list:
    """What a caller sees after each thing of a script; the name of the error where there is one, and the
    end."""
    graph = build(lib, program, checkpointer=saver)
    config = {"configurable": {"thread_id": "t"}, "recursion_limit": 60}
    seen: list = []
    for number, op in enumerate(script):
        try:
            perform(lib, graph, op, number, config)
            seen.append(told(graph, config))
        except Exception as error:
            return [*seen, type(error).__name__]
    return seen


def main(lines: Any, write: Any) -> None:
    """LangGraph's outcomes: a program and a script per line, as JSON; its outcome per line."""
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.graph import END, START, StateGraph
    from langgraph.types import Command, Send, interrupt

    lib = types.SimpleNamespace(
        StateGraph=StateGraph, START=START, END=END, Send=Send, Command=Command, interrupt=interrupt
    )
    for line in lines:
        program, script = json.loads(line)
        write(json.dumps(outcome(lib, InMemorySaver(), program, script)) + "\n")


if __name__ == "__main__":
    import sys

    main(sys.stdin, sys.stdout.write)
