"""Resources of a graph: opened once for a run, shared by its nodes, closed however the run ends."""

import asyncio
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, Any

import pytest

from dashflow.errors import GraphRecursionError
from dashflow.graph import END, START, StateGraph
from dashflow.managed import Context
from dashflow.types import interrupt
from tests.behaviour.conftest import State

pytestmark = pytest.mark.feature("CHAN-003")


class Tap:
    """Counts what is opened and closed."""

    def __init__(self) -> None:
        self.opened = 0
        self.closed: list[str] = []

    @property
    def open(self) -> int:
        return self.opened - len(self.closed)

    @contextmanager
    def connect(self) -> Any:
        self.opened += 1
        try:
            yield f"connection {self.opened}"
        except BaseException as error:
            self.closed.append(type(error).__name__)
            raise
        else:
            self.closed.append("fine")


def stateful(tap: Tap, **options: Any) -> Any:
    class Connected(State):
        link: Annotated[str, Context(tap.connect, **options)]

    return Connected


def uses(state: Any) -> Any:
    return {"log": [state["link"]]}


def test_nodes_of_a_run_share_one_and_the_run_closes_it(world) -> None:
    tap = Tap()
    graph = world.compile(world.graph([("a", uses), ("b", uses)], schema=stateful(tap)))
    assert world.run(graph, {"n": 1})["log"] == ["connection 1"] * 2
    assert world.run(graph, {"n": 1}, world.config("u"))["log"] == ["connection 2"] * 2
    assert tap.closed == ["fine", "fine"]


def test_it_is_no_part_of_the_state(recorded) -> None:
    tap = Tap()
    graph = recorded.compile(recorded.graph([("a", uses)], schema=stateful(tap)))
    assert "link" not in recorded.run(graph, {"n": 1})
    assert set(recorded.state(graph).values) == {"n", "log"}
    assert tap.opened == 1, "looking at a thread opens nothing"


def test_a_failing_node(world) -> None:
    tap = Tap()

    def fails(state: Any) -> Any:
        raise KeyError(state["link"])

    graph = world.compile(world.graph([("a", uses), ("b", fails)], schema=stateful(tap)))
    with pytest.raises(KeyError):
        world.run(graph, {"n": 1})
    assert tap.closed == ["KeyError"], "it is told, so that it can roll back"


def test_a_run_that_never_ends_by_itself(world) -> None:
    tap = Tap()
    graph = world.compile(world.graph([("a", uses)], [(START, "a"), ("a", "a")], schema=stateful(tap)))
    with pytest.raises(GraphRecursionError):
        world.run(graph, {"n": 1}, world.config(recursion_limit=3))
    assert tap.closed == ["GraphRecursionError"]


def test_a_question_closes_it_and_the_answer_opens_it_again(recorded) -> None:
    from dashflow.types import Command

    tap = Tap()

    def asks(state: Any) -> Any:
        return {"log": [state["link"], interrupt("?")]}

    graph = recorded.compile(recorded.graph([("a", asks)], schema=stateful(tap)))
    assert "__interrupt__" in recorded.run(graph, {"n": 1})
    assert tap.closed == ["fine"], "a pause is no failure"
    assert recorded.run(graph, Command(resume="yes"))["log"] == ["connection 2", "yes"]
    assert tap.open == 0


def test_a_stream_that_nobody_reads_to_the_end(world) -> None:
    if world.kind == "asyncio":
        return  # the next test
    tap = Tap()
    graph = world.compile(world.graph([("a", uses), ("b", uses)], schema=stateful(tap)))
    stream = graph.stream({"n": 1}, world.config())
    next(stream)
    assert tap.open == 1
    stream.close()
    assert tap.open == 0


def test_a_cancelled_run() -> None:
    tap = Tap()
    begun = asyncio.Event()

    async def waits(state: Any) -> Any:
        begun.set()
        await asyncio.Event().wait()

    graph = StateGraph(stateful(tap)).add_node("a", waits).add_edge(START, "a").compile()

    async def main() -> None:
        task = asyncio.create_task(graph.ainvoke({"n": 1}))
        await begun.wait()
        assert tap.open == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert tap.closed == ["CancelledError"]


def test_an_async_resource_needs_an_async_run() -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def connect() -> Any:
        await asyncio.sleep(0)
        seen.append("open")
        yield "connection"
        await asyncio.sleep(0)
        seen.append("closed")

    class Connected(State):
        link: Annotated[str, Context(connect)]

    graph = StateGraph(Connected).add_node("a", uses).add_edge(START, "a").compile()
    assert asyncio.run(graph.ainvoke({"n": 1}))["log"] == ["connection"]
    assert seen == ["open", "closed"]
    with pytest.raises(TypeError, match="makes an async context manager; use ainvoke"):
        graph.invoke({"n": 1})


def test_a_resource_that_cannot_be_opened_or_closed(world) -> None:
    tap = Tap()

    @contextmanager
    def broken(when: str) -> Any:
        if when == "open":
            raise ConnectionError("opening")
        try:
            yield "link"
        finally:
            raise ConnectionError("closing")

    for when in ("open", "close"):

        class Connected(State):
            first: Annotated[str, Context(tap.connect)]
            link: Annotated[str, Context(lambda when=when: broken(when))]

        graph = world.compile(world.graph([world.says("a")], schema=Connected))
        with pytest.raises(ConnectionError, match=f"{when.rstrip('e')}ing"):
            world.run(graph, {"n": 1}, world.config(when))
        assert tap.open == 0, "the other one is closed all the same"

    def fails(state: Any) -> Any:
        raise ValueError("mine")

    graph = world.compile(world.graph([("a", fails)], schema=Connected))
    with pytest.raises(ValueError, match="mine") as caught:
        world.run(graph, {"n": 1}, world.config("both"))
    assert any("Closing a resource of the run failed, too" in note for note in caught.value.__notes__)


def test_runs_of_a_thread_share_one_until_it_is_closed(recorded) -> None:
    tap = Tap()
    context = Context(tap.connect, scope="thread", keep=2)

    class Connected(State):
        link: Annotated[str, context]

    graph = recorded.compile(recorded.graph([("a", uses)], schema=Connected))
    for thread in ("t", "t", "u"):
        recorded.run(graph, {"n": 1}, recorded.config(thread))
    assert recorded.state(graph, recorded.config("t")).values["log"] == ["connection 1"] * 2
    assert recorded.state(graph, recorded.config("u")).values["log"] == ["connection 2"]
    recorded.run(graph, {"n": 1}, recorded.config("v"))
    assert (tap.opened, tap.closed) == (3, ["fine"]), "no more stay open than shall be kept"
    context.close("u")
    assert tap.open == 1
    context.close()
    assert tap.open == 0


def test_what_a_process_shares_is_closed_at_its_end(tmp_path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        """
from contextlib import contextmanager
from typing import Annotated, TypedDict
from dashflow.graph import START, StateGraph
from dashflow.managed import Context

@contextmanager
def connect():
    print("open")
    yield "link"
    print("closed")

class State(TypedDict):
    n: int
    link: Annotated[str, Context(connect, scope="process")]

def use(state):
    print(state["link"])

graph = StateGraph(State).add_node(use).add_edge(START, "use").compile()
graph.invoke({"n": 1})
graph.invoke({"n": 1})
print("end")
"""
    )
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["open", "link", "link", "end", "closed"]


@pytest.mark.parametrize(
    ("options", "message"), [({"scope": "year"}, "scope must be"), ({"keep": 0}, "keep must be")]
)
def test_settings_that_make_no_sense(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        Context(Tap().connect, **options)


def test_only_sync_resources_are_shared_between_runs() -> None:
    @asynccontextmanager
    async def connect() -> Any:
        yield "link"

    class Connected(State):
        link: Annotated[str, Context(connect, scope="process")]

    graph = (
        StateGraph(Connected)
        .add_node("a", lambda state: None)
        .add_edge(START, "a")
        .add_edge("a", END)
        .compile()
    )
    with pytest.raises(TypeError, match="needs a sync context manager"):
        asyncio.run(graph.ainvoke({"n": 1}))
