"""Random small graphs under random treatment: runs, answers, failures, edits, branches, restarts.

After every step of every run, and after every treatment: what the log says is what the live run has, folding
is the same for everybody, and nothing that was recorded as done ran again. The schedule is the simulated
host's, so that a failure can be repeated.
"""

import operator
from typing import Annotated, Any, TypedDict

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from langchain_core.runnables import RunnableConfig

from dashflow.checkpoint.saver import LogSaver
from dashflow.checkpoint.thread import ThreadReader
from dashflow.core.fold import ThreadState
from dashflow.core.superstep import read
from dashflow.engine.sight import live_of
from dashflow.errors import EmptyInputError, GraphRecursionError, InvalidUpdateError
from dashflow.graph import END, START, StateGraph
from dashflow.hosts.simulated import SimulatedHost
from dashflow.log.codec import Registry, encode
from dashflow.log.memory import MemoryLog
from dashflow.types import Command, Overwrite, Send, interrupt

CONFIG = {"configurable": {"thread_id": "t"}, "recursion_limit": 14}
EXPECTED = (InvalidUpdateError, GraphRecursionError, EmptyInputError, ConnectionError, RuntimeError)


def scribbles(old: list[Any], new: list[Any]) -> list[Any]:
    """A reducer that changes parts of the old value in place and returns a shallow copy."""
    for part in old:
        if isinstance(part, list) and len(part) < 4:
            part.append("scribbled")
    return [*old, *new]


class State(TypedDict, total=False):
    """One key of every kind that grows or changes."""

    i: int
    n: Annotated[int, operator.add]
    log: Annotated[list[Any], operator.add]
    doc: list[Any]
    tags: Annotated[dict[Any, Any], operator.or_]
    text: Annotated[str, operator.add]
    bag: Annotated[list[Any], scribbles]


SCALARS = st.sampled_from([None, True, False, 0, 1, 1.0, -0.0, float("nan"), "x", b"y"])
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=3), st.tuples(SCALARS, SCALARS))
ACTIONS = st.one_of(
    st.tuples(st.just("log"), st.lists(VALUES, max_size=3)),
    st.tuples(st.just("doc"), VALUES),
    st.tuples(st.just("doc in place"), VALUES),
    st.tuples(st.just("tags"), st.dictionaries(SCALARS.filter(lambda v: v == v), VALUES, max_size=3)),
    st.tuples(st.just("text"), st.sampled_from(["", "word ", "word " * 20])),
    st.tuples(st.just("bag"), st.lists(VALUES, max_size=3)),
    st.tuples(st.just("overwrite"), st.just(None)),
    st.tuples(st.just("ask"), VALUES),
    st.tuples(st.just("fail once"), st.just(None)),
)
NODES = st.lists(st.lists(ACTIONS, max_size=3), min_size=1, max_size=4)
EDGES = st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 3)), max_size=5)
SENDS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)), max_size=2)


def told(state: ThreadState) -> bytes:
    """A state as bytes, with its values made."""
    return encode(msgspec.structs.replace(state, values=dict(state.values)))


class Graphs(RuleBasedStateMachine):
    """One thread of one random graph."""

    @initialize(nodes=NODES, edges=EDGES, sends=SENDS, loops=st.booleans(), seed=st.integers(0, 99))
    def build(self, nodes, edges, sends, loops, seed) -> None:
        self.failed: set[Any] = set()
        self.ran: list[tuple[int, Any]] = []
        self.host = SimulatedHost(seed)
        self.log = MemoryLog()
        self.builder = StateGraph(State)
        count = len(nodes)
        for number, actions in enumerate(nodes):
            self.builder.add_node(f"n{number}", self.node(number, actions))
        self.builder.add_edge(START, "n0")
        for start, end in edges:
            first, second = start % count, end % count
            if start < 0:
                self.builder.add_edge(START, f"n{second}")
            elif loops or first < second:
                self.builder.add_edge(f"n{first}", f"n{second}")
        for number, (source, target, times) in enumerate(sends):
            self.builder.add_conditional_edges(
                f"n{source % count}", self.sends(number, target % count, times)
            )
        self.compile()

    def compile(self) -> None:
        self.saver = LogSaver(self.log)
        self.graph = self.builder.compile(checkpointer=self.saver).with_host(self.host)

    def node(self, number: int, actions: Any) -> Any:
        def run(state: Any, config: RunnableConfig) -> Any:
            place = config["metadata"]["langgraph_step"], tuple(config["metadata"]["langgraph_path"])
            self.ran.append(place)
            update: dict[str, Any] = {"n": 1}
            # A node that is going to ask or to fail has not yet changed anything in place.
            for kind, value in sorted(actions, key=lambda action: action[0] not in ("ask", "fail once")):
                self.act(kind, value, state, update, (number, place[0]))
            return update

        return run

    def act(self, kind: str, value: Any, state: Any, update: dict[str, Any], place: Any) -> None:
        match kind:
            case "log" | "tags" | "text" | "bag":
                update[kind] = value
            case "doc":
                update["doc"] = [*state.get("doc", []), value]
            case "doc in place":
                document = state.get("doc", [])
                if document and isinstance(document[0], list) and len(document[0]) < 5:
                    document[0].append(value)
                else:
                    document.append([value])
                update["doc"] = document
            case "overwrite":
                update["bag"] = Overwrite(state.get("bag", [])[:3])
            case "ask":
                update["log"] = [("told", interrupt(value))]
            case "fail once" if place not in self.failed:
                self.failed.add(place)
                raise ConnectionError(f"n{place}")

    def sends(self, number: int, target: int, times: int) -> Any:
        def route(state: Any) -> Any:
            if state.get("n", 0) > 6:
                return END
            return [Send(f"n{target}", {"i": i, "n": state["n"]}) for i in range(times)]

        route.__name__ = f"route{number}"
        return route

    # -- treatments -----------------------------------------------------------------------------------

    def follow(self, given: Any, config: Any = CONFIG) -> None:
        """Run, comparing the log with what the run shows after every step."""
        latest = config is CONFIG
        finished = self.finished() if latest and (given is None or isinstance(given, Command)) else set()
        before = len(self.ran)
        try:
            for shown in self.graph.stream(given, config, stream_mode="values", durability="sync"):
                if "__interrupt__" not in shown:  # that one tells of a moment within the step
                    self.compare(shown)
        except EXPECTED:
            pass
        assert not finished & set(self.ran[before:])

    def compare(self, shown: Any) -> None:
        """What is shown after a step is what was recorded."""
        plan, state = self.graph.plan, ThreadReader(self.log, Registry()).head("t")
        if not state.done:  # else the step is not complete: what is shown is an outlook
            assert encode(shown) == encode(read(live_of(plan, state).channels, plan.stream))

    def finished(self) -> set[tuple[int, Any]]:
        """Where the tasks of the present step are that are recorded as done."""
        state = self.graph.get_state(CONFIG)
        step = (state.metadata or {}).get("step", -2) + 1
        return {(step, task.path) for task in state.tasks if task.result is not None}

    @rule(i=st.integers(0, 9), log=st.lists(VALUES, max_size=2))
    def start(self, i, log) -> None:
        self.follow({"i": i, "log": log})

    @rule()
    def go_on(self) -> None:
        self.follow(None)

    @rule(answer=VALUES, all_of_them=st.booleans())
    def answer(self, answer, all_of_them) -> None:
        questions = self.graph.get_state(CONFIG).interrupts
        chosen = questions if all_of_them else questions[:1]
        self.follow(Command(resume={question.id: answer for question in chosen}))

    @rule(answer=VALUES)
    def answer_whoever_asks(self, answer) -> None:
        self.follow(Command(resume=answer))

    @rule(number=st.integers(0, 3), value=VALUES)
    def steer(self, number, value) -> None:
        self.follow(Command(update={"log": [value]}, goto=f"n{number % len(self.builder.nodes)}"))

    @rule(number=st.one_of(st.none(), st.integers(0, 3)), value=VALUES)
    def edit(self, number, value) -> None:
        name = None if number is None else f"n{number % len(self.builder.nodes)}"
        try:
            config = self.graph.update_state(CONFIG, {"log": [value], "bag": [value]}, name)
        except InvalidUpdateError:
            return
        assert encode(self.graph.get_state(config).values) == encode(self.graph.get_state(CONFIG).values)

    @precondition(lambda self: self.log.version("run-t") > 0)
    @rule(place=st.integers(0, 30), edit=st.booleans(), answer=st.one_of(st.none(), VALUES))
    def branch(self, place, edit, answer) -> None:
        history = list(self.graph.get_state_history(CONFIG))
        config = {**history[place % len(history)].config, "recursion_limit": 14}
        if edit:
            config = {**self.graph.update_state(config, {"text": "branch "}, "n0"), "recursion_limit": 14}
        self.follow(None if answer is None else Command(resume=answer), config)

    @rule()
    def restart(self) -> None:
        """Another process opens the log."""
        old, self.log = self.log, MemoryLog(self.log.store)
        old.close()
        self.compile()

    # -- what always holds ------------------------------------------------------------------------------

    @invariant()
    def everybody_folds_the_same(self) -> None:
        if not hasattr(self, "log"):
            return
        one, two = ThreadReader(self.log, Registry()), ThreadReader(self.log, Registry())
        states = one.history("t")
        assert [told(state) for state in states] == [told(state) for state in two.history("t")]
        assert told(states[-1]) == told(one.at("t", len(states) - 1)) == told(self.saver.reader.head("t"))
        assert states[-1].status in ("idle", "paused", "failed", "finished")

    def teardown(self) -> None:
        """Every checkpoint can be shown, and has a parent that can."""
        if not hasattr(self, "log"):
            return
        history = list(self.graph.get_state_history(CONFIG))
        for shown in history:
            assert encode(self.graph.get_state(shown.config).values) == encode(shown.values)
        known = {shown.config["configurable"]["checkpoint_id"] for shown in history}
        assert len(known) == len(history)
        for shown in history:
            if shown.parent_config is not None:
                assert shown.parent_config["configurable"]["checkpoint_id"] in known


Graphs.TestCase.settings = settings(stateful_step_count=10)
TestGraphs = pytest.mark.feature("LOG-01", "RUN-13", "NEW-02")(Graphs.TestCase)
