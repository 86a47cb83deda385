# ruff: noqa: E501  # what mypy says is not to be broken
"""Typed nodes as users write them; what mypy says of a line stands in a comment behind it. Never run."""

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
    return {"n": "one"}  # E: Incompatible types (expression has type "str", TypedDict item "n" has type "int")


def wrong_key(state: State) -> Update:
    return {"m": 1}  # E: Extra key "m" for TypedDict "Update"


def wrong_read(state: State) -> Update:
    return {"n": state["m"]}  # E: TypedDict "State" has no key "m"


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
nodes.add("plain", lambda state: {"n": "one"})  # E: Argument 2 to "add" of "TypedNodes" has incompatible type "Callable[[State], dict[str, str]]"
nodes.add("result", wrong_result)  # E: Argument 2 to "add" of "TypedNodes" has incompatible type "Callable[[State], Other]"
nodes.add("state", other_state)  # E: Argument 2 to "add" of "TypedNodes" has incompatible type "Callable[[str], Update]"
builder.typed(int)  # E: Value of type variable "UpdateT" of "typed" of "StateGraph" cannot be "int"
builder.add_edge(START, "right")
graph = builder.compile()
graph.invoke({"n": 1, "log": []})
