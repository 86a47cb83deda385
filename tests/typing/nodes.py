"""Typed nodes as users write them; what mypy says of a line stands in a comment before it. Never run."""

import operator
from typing import Annotated, TypedDict

from dashflow.graph import START, StateGraph
from dashflow.types import Command


class State(TypedDict):
    n: int
    log: Annotated[list[str], operator.add]


class Update(TypedDict, total=False):
    n: int
    log: list[str]


def right(state: State) -> Update:
    return {"n": state["n"] + 1}


async def awaited(state: State) -> Update:
    return {"log": ["awaited"]}


def steering(state: State) -> Command[str]:
    return Command(goto="right", update={"n": 1})


def nothing(state: State) -> None:
    return None


def wrong_value(state: State) -> Update:
    # says: Incompatible types (expression has type "str", TypedDict item "n" has type "int")
    return {"n": "one"}


def wrong_key(state: State) -> Update:
    # says: Extra key "m" for TypedDict "Update"
    return {"m": 1}


def wrong_read(state: State) -> Update:
    # says: TypedDict "State" has no key "m"
    return {"n": state["m"]}


class Other(TypedDict):
    n: int


def wrong_result(state: State) -> Other:
    return {"n": 1}


def other_state(state: str) -> Update:
    return {"n": len(state)}


builder = StateGraph(State)
nodes = builder.typed(Update)
nodes.add("right", right).add("awaited", awaited).add("steering", steering).add("nothing", nothing)
nodes.add("lambda", lambda state: {"n": state["n"] + 1})
# says: Argument 2 to "add" of "TypedNodes" has incompatible type "Callable[[State], dict[str, str]]"
nodes.add("plain", lambda state: {"n": "one"})
# says: Argument 2 to "add" of "TypedNodes" has incompatible type "Callable[[State], Other]"
nodes.add("result", wrong_result)
# says: Argument 2 to "add" of "TypedNodes" has incompatible type "Callable[[str], Update]"
nodes.add("state", other_state)
# says: Value of type variable "UpdateT" of "typed" of "Typable" cannot be "int"
builder.typed(int)
builder.add_edge(START, "right")
graph = builder.compile()
graph.invoke({"n": 1, "log": []})
