"""Functions that tests run in processes of their own."""

import os
import signal
import threading
from dataclasses import dataclass
from typing import TypedDict

from dashflow.types import Command


@dataclass
class Order:
    amount: int


class State(TypedDict, total=False):
    n: int
    pid: int
    order: Order
    mark: str


class OddError(Exception):
    """One whose constructor wants something that its arguments do not say."""

    def __init__(self, *, why):
        super().__init__(f"odd: {why}")
        self.why = why


def double(state: State):
    order = state["order"]
    return {"n": state["n"] * 2, "pid": os.getpid(), "order": Order(order.amount + 1)}


async def double_async(state: State):
    return {"n": state["n"] * 2, "pid": os.getpid()}


def go_on(state: State):
    return Command(goto="end", update={"n": 7})


def refuse(state: State):
    raise ValueError("no such thing")


def odd(state: State):
    raise OddError(why="it is")


def unknown(state: State):
    class LocalError(Exception):
        pass

    raise LocalError("only there")


def die(state: State):
    if not os.path.exists(state["mark"]):
        open(state["mark"], "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"n": 1}


def hang(state: State):
    with open(state["mark"], "w") as file:
        file.write(str(os.getpid()))
    while True:  # not to be stopped by asking
        threading.Event().wait(1)


def unstorable(state: State):
    return {"n": object()}
