"""The catalogue of programs whose recorded histories are kept: each builds a graph and drives a thread of it.

Everything is deterministic: nodes draw nothing, and the host is a simulated one. A program never changes once
its history is kept; what is new gets a program of its own.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple, TypedDict

import msgspec
import pydantic

from dashflow.channels import AnyValue, DeltaChannel, EphemeralValue, Topic, UntrackedValue
from dashflow.func import entrypoint, task
from dashflow.graph import END, START, MessagesState, StateGraph
from dashflow.managed import RemainingSteps
from dashflow.pregel import NodeBuilder, Pregel
from dashflow.runtime import RunControl
from dashflow.types import Command, Overwrite, RetryPolicy, Send, interrupt

CONFIG = {"configurable": {"thread_id": "t"}}
AT_ONCE = RetryPolicy(max_attempts=3, initial_interval=0, jitter=False, retry_on=ValueError)


class Program(NamedTuple):
    """``build`` gives what ``compile`` is called on, or what takes a saver itself; ``drive`` runs it."""

    build: Callable[[], Any]
    drive: Callable[[Any], None]
    options: dict[str, Any]

    def compile(self, saver: Any) -> Any:
        """The graph."""
        made = self.build()
        return made(saver) if callable(made) else made.compile(checkpointer=saver, **self.options)


PROGRAMS: dict[str, Program] = {}


def run(*inputs: Any, **options: Any) -> Callable[[Any], None]:
    """Drives a graph by inputs, one after the other; what fails has failed."""

    def drive(graph: Any) -> None:
        for given in inputs:
            try:
                graph.invoke(given, CONFIG, **options)
            except (ValueError, RecursionError):
                continue

    return drive


def program(name: str, drive: Callable[[Any], None], **options: Any) -> Callable[[Any], Any]:
    """Put a function that builds into the catalogue."""

    def keep(build: Any) -> Any:
        assert name not in PROGRAMS, name
        PROGRAMS[name] = Program(build, drive, options)
        return build

    return keep


class State(TypedDict, total=False):
    n: int
    log: Annotated[list, operator.add]


def says(name: str, **more: Any) -> Callable[[Any], dict[str, Any]]:
    return lambda state: {"log": [name], **more}


def asks(question: Any = "Go on?") -> Callable[[Any], dict[str, Any]]:
    return lambda state: {"log": [interrupt(question)]}


def graph(nodes: dict[str, Any], *edges: tuple[Any, Any], schema: Any = State, **options: Any) -> StateGraph:
    """A graph; without edges a chain. ``defer`` names nodes, ``policies`` gives them options."""
    builder = StateGraph(schema)
    for name, action in nodes.items():
        more = options.get("policies", {}).get(name, {})
        builder.add_node(name, action, defer=name in options.get("defer", ()), **more)
    for start, end in edges or zip((START, *nodes), nodes, strict=False):
        if callable(end):
            builder.add_conditional_edges(start, end)
        else:
            builder.add_edge(start, end)
    return builder


def chain(length: int) -> Callable[[], StateGraph]:
    return lambda: graph({f"n{number}": says(f"n{number}") for number in range(length)})


for length in (1, 3, 20):
    program(f"chain-{length}", run({"n": 1}))(chain(length))
for durability in ("sync", "exit"):
    program(f"chain-3-{durability}", run({"n": 1}, {"n": 2}, durability=durability))(chain(3))
program("chain-two-turns", run({"n": 1}, {"n": 2}))(chain(2))
program("empty-input-keys", run({"log": ["only"]}))(chain(2))


def counting(limit: int) -> StateGraph:
    return graph(
        {"add": lambda s: {"n": s["n"] + 1}},
        (START, "add"),
        ("add", lambda s: "add" if s["n"] < limit else END),
    )


program("loop", run({"n": 0}))(lambda: counting(6))
program("recursion-limit", lambda g: run({"n": 0})(g.with_config(recursion_limit=4)))(lambda: counting(99))


# -- several tasks of a step ------------------------------------------------------------------------


def fan(width: int, **nodes: Any) -> StateGraph:
    names = [f"w{number}" for number in range(width)]
    return graph(
        {"split": says("split"), **{name: says(name) for name in names}, "join": says("join"), **nodes},
        (START, "split"), *[("split", name) for name in names], (names, "join"),
    )  # fmt: skip


program("fan-2", run({"n": 1}))(lambda: fan(2))
program("fan-8", run({"n": 1}))(lambda: fan(8))
program("fan-one-asks", run({"n": 1}))(lambda: fan(3, w1=asks()))
program("fan-one-asked", run({"n": 1}, Command(resume="yes")))(lambda: fan(3, w1=asks()))


@program("fan-two-ask", run({"n": 1}))
@program("fan-answered-by-id", lambda g: (run({"n": 1})(g), answer_all(g)))
def fan_two_ask() -> StateGraph:
    return fan(3, w1=asks("first?"), w2=asks("second?"))


def answer_all(g: Any) -> None:
    asked = g.get_state(CONFIG).interrupts
    g.invoke(Command(resume={one.id: f"yes to {one.value}" for one in asked}), CONFIG)


@program("fan-one-fails", run({"n": 1}))
@program("fan-fails-and-fails", run({"n": 1}, None))
def fan_one_fails() -> StateGraph:
    return fan(3, w1=fails)


def fails(state: Any) -> dict[str, Any]:
    raise ValueError("not today")


@program("deferred", run({"n": 1}))
def deferred() -> StateGraph:
    nodes = {name: says(name) for name in ("a", "b", "c", "last")}
    edges = [(START, "a"), (START, "b"), ("b", "c"), ("a", "last"), ("c", "last")]
    return graph(nodes, *edges, defer=["last"])


@program("diamond", run({"n": 1}))
def diamond() -> StateGraph:
    nodes = {name: says(name) for name in "abcd"}
    return graph(nodes, (START, "a"), ("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"))


def mapped(work: Any) -> StateGraph:
    def path(state: Any) -> list[Send]:
        return [Send("work", {"n": number}) for number in range(4)]

    return graph({"plan": says("plan"), "work": work}, (START, "plan"), ("plan", path))


program("sends", run({"n": 1}))(lambda: mapped(lambda s: {"log": [s["n"]]}))
program("sends-one-asks", run({"n": 1}))(
    lambda: mapped(lambda s: {"log": [interrupt("odd") if s["n"] == 3 else s["n"]]})
)
program("sends-one-answered", run({"n": 1}, Command(resume=33)))(
    lambda: mapped(lambda s: {"log": [interrupt("odd") if s["n"] == 3 else s["n"]]})
)


@program("sends-of-sends", run({"n": 2}))
def sends_of_sends() -> StateGraph:
    def work(state: Any) -> Any:
        n = state["n"]
        return Command(update={"log": [n]}, goto=[Send("work", {"n": n - 1})] * (n > 0))

    return graph({"work": work}, (START, "work"))


# -- questions and stops ----------------------------------------------------------------------------


def asking() -> StateGraph:
    return graph({"a": says("a"), "ask": asks({"amount": 42}), "b": says("b")})


program("asks", run({"n": 1}))(asking)
program("asked", run({"n": 1}, Command(resume="yes")))(asking)
program("asks-and-new-input", run({"n": 1}, {"n": 2}))(asking)
program("asks-and-continued", run({"n": 1}, None, Command(resume="yes")))(asking)
program("answer-with-update", run({"n": 1}, Command(resume="yes", update={"n": 7})))(asking)


def twice() -> StateGraph:
    return graph({"ask": lambda s: {"log": [interrupt("one?"), interrupt("two?")]}})


program("asks-twice", run({"n": 1}, Command(resume=1)))(twice)
program("asked-twice", run({"n": 1}, Command(resume=1), Command(resume=2)))(twice)
program("stops-before", run({"n": 1}), interrupt_before=["n1"])(chain(3))
program("stops-and-goes-on", run({"n": 1}, None), interrupt_before=["n1"])(chain(3))
program("stops-after", run({"n": 1}, None), interrupt_after=["n0"])(chain(3))


@program("drained", lambda g: drain(g))
@program("drained-and-continued", lambda g: (drain(g), g.invoke(None, CONFIG)))
def draining() -> StateGraph:
    def asked(state: Any, runtime: Any) -> dict[str, Any]:
        runtime.control.request_drain("enough")
        return {"log": ["a"]}

    from dashflow.runtime import Runtime

    asked.__annotations__["runtime"] = Runtime
    return graph({"a": asked, "b": says("b")})


def drain(g: Any) -> None:
    from dashflow.errors import GraphDrained

    try:
        g.invoke({"n": 1}, CONFIG, control=RunControl())
    except GraphDrained:
        return


# -- failures ---------------------------------------------------------------------------------------


@program("retried", run({"n": 1}))
def retried() -> StateGraph:
    tries: list[int] = []

    def flaky(state: Any) -> dict[str, Any]:
        tries.append(1)
        if len(tries) < 3:
            raise ValueError("again")
        return {"log": ["third time"]}

    return graph({"flaky": flaky}, policies={"flaky": {"retry_policy": AT_ONCE}})


program("failed", run({"n": 1}))(lambda: graph({"a": says("a"), "b": fails}))
program("failed-and-new-input", run({"n": 1}, {"n": 2}))(lambda: graph({"a": says("a"), "b": fails}))
program("handled", run({"n": 1}))(
    lambda: graph({"a": fails, "b": says("b")}, policies={"a": {"error_handler": says("handled")}})
)


# -- graphs inside ----------------------------------------------------------------------------------


def inside(action: Any, **options: Any) -> Callable[[], StateGraph]:
    def build() -> StateGraph:
        inner = graph({"x": says("x"), "y": action}).compile(**options)
        return graph({"a": says("a"), "inner": inner, "b": says("b")})

    return build


program("inside", run({"n": 1}))(inside(says("y")))
program("inside-asks", run({"n": 1}))(inside(asks()))
program("inside-asked", run({"n": 1}, Command(resume="yes")))(inside(asks()))
program("inside-keeps", run({"n": 1}, {"n": 2}))(inside(says("y"), checkpointer=True))


@program("inside-inside-asked", run({"n": 1}, Command(resume="yes")))
def inside_inside() -> StateGraph:
    return graph({"outer": inside(asks())().compile(), "b": says("b")})


@program("to-the-parent", run({"n": 1}))
def to_the_parent() -> StateGraph:
    inner = graph({"x": lambda s: Command(graph=Command.PARENT, goto="b", update={"log": ["up"]})})
    return graph({"inner": inner.compile(), "b": says("b")}, (START, "inner"))


# -- states -----------------------------------------------------------------------------------------


class Model(pydantic.BaseModel):
    n: int = 0
    log: Annotated[list[str], operator.add] = []


@dataclass
class Data:
    n: int = 0
    log: Annotated[list[str], operator.add] = field(default_factory=list)


class Struct(msgspec.Struct):
    n: int = 0
    log: Annotated[list[str], operator.add] = []


class Item(pydantic.BaseModel):
    name: str
    price: float = 0.5


for kind in (Model, Data, Struct):
    program(f"state-{kind.__name__.lower()}", run({"n": 1}))(
        lambda kind=kind: graph(
            {"a": lambda s: {"log": [str(s.n)], "n": s.n + 1}, "b": says("b")}, schema=kind
        )
    )
program("state-root", run([1]))(
    lambda: graph({"a": lambda s: [len(s)], "b": lambda s: [len(s)]}, schema=Annotated[list, operator.add])
)


class Shop(TypedDict, total=False):
    log: Annotated[list[Item], operator.add]


program("values-models", run({"log": [Item(name="nut")]}))(
    lambda: graph({"a": lambda s: {"log": [Item(name=s["log"][0].name + "s", price=2)]}}, schema=Shop)
)
program("values-large", run({"n": 1}))(
    lambda: graph({"a": lambda s: {"log": ["x" * 9000]}, "b": lambda s: {"log": [len(s["log"][0])]}})
)


class Channels(TypedDict, total=False):
    seen: Annotated[list, Topic(str, accumulate=True)]
    now: Annotated[str, EphemeralValue]
    some: Annotated[str, AnyValue]
    held: Annotated[Any, UntrackedValue]
    grown: Annotated[list, DeltaChannel(lambda value, writes: [*value, *[x for w in writes for x in w]])]
    left: RemainingSteps


@program("channels", run({"seen": ["in"], "now": "in"}))
def channels() -> StateGraph:
    return graph(
        {
            "a": lambda s: {"seen": "a", "now": "a", "some": "a", "grown": ["a"], "held": object()},
            "b": lambda s: {"seen": s.get("now", "none"), "grown": [s["some"]]},
            "c": lambda s: {"seen": s.get("now", "none"), "grown": [len(s["grown"])]},
        },
        schema=Channels,
    )


program("deltas", run(*[{"grown": [number]} for number in range(4)]))(
    lambda: graph({"a": lambda s: {"grown": ["a"]}}, schema=Channels)
)
program("overwrite", run({"log": [1, 2]}))(
    lambda: graph({"a": lambda s: {"log": Overwrite([3])}, "b": says("b")})
)
program("command-goto", run({"n": 1}))(
    lambda: graph(
        {"a": lambda s: Command(goto="c", update={"log": ["a"]}), "b": says("b"), "c": says("c")},
        (START, "a"),
    )
)


# -- messages ---------------------------------------------------------------------------------------


@program("messages", run({"messages": [{"role": "user", "content": "hello", "id": "u1"}]}))
def messages() -> StateGraph:
    from langchain_core.messages import AIMessage, RemoveMessage

    def reply(state: Any) -> dict[str, Any]:
        return {
            "messages": [AIMessage(state["messages"][-1].content.upper(), id=f"a{len(state['messages'])}")]
        }

    def mend(state: Any) -> dict[str, Any]:
        return {"messages": [RemoveMessage(id="u1"), AIMessage("HELLO!", id="a1")]}

    return graph({"reply": reply, "mend": mend}, schema=MessagesState)


# -- functions and low-level graphs -----------------------------------------------------------------


@task
def double(value: int) -> int:
    return value * 2


def functional(answered: bool) -> Callable[[], Any]:
    def build() -> Any:
        def made(saver: Any) -> Any:
            @entrypoint(checkpointer=saver)
            def flow(given: int, *, previous: Any = None) -> Any:
                doubled = [double(given + number).result() for number in range(2)]
                return [previous, *doubled, interrupt("sum?") if answered else sum(doubled)]

            return flow

        return made

    return build


program("functional", run(1, 2))(functional(False))
program("functional-asks", run(1))(functional(True))
program("functional-asked", run(1, Command(resume="yes")))(functional(True))


@program("low-level", run({"a": "foo"}))
def low_level() -> Any:
    from dashflow.channels import LastValue

    def made(saver: Any) -> Any:
        one = NodeBuilder().subscribe_only("a").do(lambda x: x + x).write_to("b")
        two = NodeBuilder().subscribe_only("b").do(lambda x: x + "!").write_to("c")
        kinds = {name: LastValue(str) for name in "abc"}
        return Pregel(
            nodes={"one": one, "two": two}, channels=kinds, input_channels=["a"], output_channels=["c"],
            checkpointer=saver,
        )  # fmt: skip

    return made


# -- edits, old checkpoints, branches ---------------------------------------------------------------


def edited(g: Any) -> None:
    g.invoke({"n": 1}, CONFIG)
    g.update_state(CONFIG, {"log": ["edited"], "n": 5}, as_node="n1")
    g.invoke(None, CONFIG)


def forked(g: Any) -> None:
    g.invoke({"n": 1}, CONFIG)
    old = next(one for one in g.get_state_history(CONFIG) if one.next == ("n1",))
    g.invoke(None, old.config)


def fork_edited(g: Any) -> None:
    g.invoke({"n": 1}, CONFIG)
    old = next(one for one in g.get_state_history(CONFIG) if one.next == ("n1",))
    g.invoke(None, g.update_state(old.config, {"log": ["other"]}))


def branched(g: Any) -> None:
    g.invoke({"n": 1}, CONFIG)
    branch = g.create_branch(CONFIG, "try")
    g.invoke({"n": 2}, {"configurable": {"thread_id": branch.thread_id}})
    g.merge_branch(CONFIG, "try", resolve=lambda key, base, ours, theirs: theirs)


def pruned(g: Any) -> None:
    run({"n": 1}, {"n": 2})(g)
    g.checkpointer.prune(["t"])
    g.invoke({"n": 3}, CONFIG)


def closed(g: Any) -> None:
    parts = g.stream({"n": 1}, CONFIG)
    next(parts)
    parts.close()


program("stream-closed", closed)(chain(3))
program("stream-closed-and-continued", lambda g: (closed(g), g.invoke(None, CONFIG)))(chain(3))
program("edited", edited)(chain(3))
program("edited-first", lambda g: (g.update_state(CONFIG, {"n": 3}), g.invoke({"n": 4}, CONFIG)))(chain(2))
program("forked", forked)(chain(3))
program("fork-edited", fork_edited)(chain(3))
program("branched-and-merged", branched)(chain(2))
program("pruned", pruned)(chain(2))
