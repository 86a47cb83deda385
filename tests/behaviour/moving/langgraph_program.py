"""A program for LangGraph and DashFlow: fills a database with threads of all kinds, or goes on with them.

Run by tests in processes of its own: ``python langgraph_program.py PACKAGE KIND WHERE ACTION``. PACKAGE is
``langgraph`` (the real one, when nothing is aliased) or ``dashflow``; it prints JSON.
"""

import json
import operator
import sys
from contextlib import ExitStack, suppress
from importlib import import_module
from typing import Annotated, Any, TypedDict

package, kind, where, action = sys.argv[1:5]


def take(module: str, *names: str) -> list[Any]:
    found = import_module(f"{package}.{module}")
    return [getattr(found, name) for name in names]


START, END, StateGraph, add_messages = take("graph", "START", "END", "StateGraph", "add_messages")
Command, Send, interrupt = take("types", "Command", "Send", "interrupt")


class State(TypedDict):
    log: Annotated[list, operator.add]
    count: int


class Chat(TypedDict):
    messages: Annotated[list, add_messages]


def looping(saver):
    builder = StateGraph(State)
    builder.add_node("step", lambda state: {"log": [state["count"]], "count": state["count"] + 1})
    builder.add_edge(START, "step")
    builder.add_conditional_edges("step", lambda state: "step" if state["count"] < 5 else END)
    return builder.compile(checkpointer=saver)


def chatting(saver):
    from langchain_core.messages import AIMessage

    builder = StateGraph(Chat)
    builder.add_node("answer", lambda state: {"messages": [AIMessage(f"{len(state['messages'])} so far")]})
    builder.add_edge(START, "answer")
    return builder.compile(checkpointer=saver)


def asking(saver):
    builder = StateGraph(State)
    builder.add_node("work", lambda state: {"log": ["worked"], "count": 1})
    builder.add_node("ask", lambda state: {"log": [interrupt({"seen": state["log"]}), interrupt("again?")]})
    builder.add_node("side", lambda state: {"log": ["side"]})
    builder.add_node("end", lambda state: {"log": ["end"]})
    builder.add_edge(START, "work")
    builder.add_edge("work", "ask")
    builder.add_edge("work", "side")
    builder.add_edge(["ask", "side"], "end")
    return builder.compile(checkpointer=saver)


def failing(saver, broken):
    def fragile(state):
        if broken:
            raise RuntimeError("no network")
        return {"log": ["fragile"]}

    builder = StateGraph(State)
    builder.add_node("spread", lambda state: {"count": 1})
    builder.add_node("part", lambda given: {"log": [f"part {given['number']}"]})
    builder.add_node("fragile", fragile)
    builder.add_node("end", lambda state: {"log": ["end"]})
    builder.add_edge(START, "spread")
    builder.add_conditional_edges(
        "spread", lambda state: [*(Send("part", {"number": n}) for n in range(3)), "fragile"]
    )
    builder.add_edge("fragile", "end")
    return builder.compile(checkpointer=saver)


def nested(saver):
    inner = StateGraph(State)
    inner.add_node("first", lambda state: {"log": ["first"]})
    inner.add_node("question", lambda state: {"log": [interrupt("inside?")]})
    inner.add_edge(START, "first")
    inner.add_edge("first", "question")
    outer = StateGraph(State)
    outer.add_node("inner", inner.compile())
    outer.add_node("after", lambda state: {"log": ["after"]})
    outer.add_edge(START, "inner")
    outer.add_edge("inner", "after")
    return outer.compile(checkpointer=saver)


def config(thread):
    return {"configurable": {"thread_id": thread}, "metadata": {"customer": f"of {thread}"}}


def fill(saver):
    """Threads in all states that a database can be found in."""
    looping(saver).invoke({"log": [], "count": 0}, config("loop"))
    for text in ("hello", "how are you", "bye"):
        chatting(saver).invoke({"messages": [("user", text)]}, config("chat"))
    asking(saver).invoke({"log": ["go"], "count": 0}, config("asked"))
    half = asking(saver)
    half.invoke({"log": ["go"], "count": 0}, config("half answered"))
    half.invoke(Command(resume="first answer"), config("half answered"))
    with suppress(RuntimeError):
        failing(saver, broken=True).invoke({"log": [], "count": 0}, config("failed"))
    nested(saver).invoke({"log": ["go"], "count": 0}, config("nested"))
    graph = looping(saver)
    graph.invoke({"log": [], "count": 3}, config("forked"))
    older = list(graph.get_state_history(config("forked")))[2]
    graph.update_state(older.config, {"log": ["edited"], "count": 4})


def shown(snapshot):
    return {
        "values": json.loads(json.dumps(snapshot.values, default=lambda one: [one.type, one.content])),
        "next": sorted(snapshot.next),
        "asked": sorted(str(question.value) for question in snapshot.interrupts),
        "errors": sorted(str(task.error) for task in snapshot.tasks if task.error),
    }


def places(saver):
    """Every checkpoint of every thread: ids, parents, steps, sources, values."""
    graphs = {
        "loop": looping(saver),
        "chat": chatting(saver),
        "asked": asking(saver),
        "half answered": asking(saver),
        "failed": failing(saver, broken=False),
        "nested": nested(saver),
        "forked": looping(saver),
    }
    found = {}
    for thread, graph in graphs.items():
        found[thread] = [
            {
                **shown(snapshot),
                "id": snapshot.config["configurable"]["checkpoint_id"],
                "parent": (snapshot.parent_config or config(None))["configurable"].get("checkpoint_id"),
                "step": snapshot.metadata["step"],
                "source": snapshot.metadata["source"],
                "customer": snapshot.metadata.get("customer"),
                "at": snapshot.created_at,
            }
            for snapshot in graph.get_state_history(config(thread))
        ]
    inner = nested(saver).get_state(config("nested"), subgraphs=True).tasks[0].state
    found["inside"] = None if inner is None else shown(inner)
    return found


def go_on(saver):
    """Every thread goes on, from its end and from before."""
    found = {}
    graph = looping(saver)
    found["loop"] = graph.invoke({"log": ["more"], "count": 4}, config("loop"))
    older = list(graph.get_state_history(config("loop")))[4]
    found["replayed"] = graph.invoke(None, older.config)
    again = chatting(saver).invoke({"messages": [("user", "still there?")]}, config("chat"))
    found["chat"] = [[one.type, one.content] for one in again["messages"]]
    graph = asking(saver)
    found["first"] = shown_result(graph.invoke(Command(resume="yes"), config("asked")))
    found["second"] = graph.invoke(Command(resume="and yes"), config("asked"))
    found["half answered"] = graph.invoke(Command(resume="second answer"), config("half answered"))
    found["failed"] = failing(saver, broken=False).invoke(None, config("failed"))
    graph = nested(saver)
    found["nested"] = graph.invoke(Command(resume="from outside"), config("nested"))
    found["nested history"] = [sorted(one.next) for one in graph.get_state_history(config("nested"))]
    found["forked"] = looping(saver).invoke(None, config("forked"))
    return found


def answer(saver):
    graph = asking(saver)
    first = shown_result(graph.invoke(Command(resume="yes"), config("asked")))
    return [first, graph.invoke(Command(resume="and yes"), config("asked"))]


def shown_result(result):
    return {**result, "__interrupt__": [str(one.value) for one in result.get("__interrupt__", ())]}


def keep(where):
    [Store] = take(f"store.{kind}", "SqliteStore" if kind == "sqlite" else "PostgresStore")
    with Store.from_conn_string(where) as store:
        store.setup()
        for number in range(5):
            store.put(("people", str(number)), "about", {"number": number}, ttl=60 if number else None)


def main():
    with ExitStack() as stack:
        if action == "keep":
            return keep(where)
        module = {"sqlite": "checkpoint.sqlite", "postgres": "checkpoint.postgres"}
        if kind == "shallow":
            [Saver] = take("checkpoint.postgres.shallow", "ShallowPostgresSaver")
        else:
            [Saver] = take(module[kind], "SqliteSaver" if kind == "sqlite" else "PostgresSaver")
        saver = stack.enter_context(Saver.from_conn_string(where))
        saver.setup()
        if action == "fill":
            return fill(saver)
        if action == "ask":
            asking(saver).invoke({"log": ["go"], "count": 0}, config("asked"))
            return None
        sys.stdout.write(json.dumps({"places": places, "go on": go_on, "answer": answer}[action](saver)))
    return None


main()
