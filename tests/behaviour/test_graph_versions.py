"""Versions of a graph: what is recorded of them, migrations of threads in flight, pins, workers."""

import asyncio
import operator
from typing import Annotated, Any, TypedDict

import pytest

from dashflow.checkpoint.memory import InMemorySaver
from dashflow.checkpoint.saver import LogSaver
from dashflow.checkpoint.sqlite import SqliteSaver
from dashflow.core.events import NEWEST, SCHEMA
from dashflow.errors import IncompatibleGraphError, UsageError
from dashflow.graph import START, StateGraph
from dashflow.hosts.simulated import SimulatedCrash, SimulatedHost
from dashflow.log.memory import MemoryLog
from dashflow.log.portable import ExportFile, bring, write_file
from dashflow.types import Command, Migration, interrupt
from tests.behaviour.test_worker import House

pytestmark = pytest.mark.feature("NEW-12")

CONFIG = {"configurable": {"thread_id": "t"}}


class State(TypedDict, total=False):
    n: int
    log: Annotated[list, operator.add]


class Text(TypedDict, total=False):
    n: str
    log: Annotated[list, operator.add]


def schema(kind: Any, name: str = "n") -> Any:
    return TypedDict("Other", {name: kind, "log": Annotated[list, operator.add]}, total=False)


def asking(name: str, kind: Any = State, key: str = "n", **options: Any) -> Any:
    """A graph of one node, which asks and then tells what it reads."""

    def node(state: Any) -> dict[str, Any]:
        return {"log": [[name, interrupt("Go on?"), state.get(key)]]}

    saver = options.pop("saver")
    return StateGraph(kind).add_node(name, node).add_edge(START, name).compile(checkpointer=saver, **options)


def started(saver: Any) -> list[Any]:
    return [event for _, event, _ in saver.reader.line("t", None, "") if event.type == "RunStarted"]


# -- what is recorded -------------------------------------------------------------------------------


def test_every_run_says_with_which_graph_it_began_and_its_shape_once():
    saver = InMemorySaver()
    graph = asking("ask", saver=saver, version="1")
    graph.invoke({"n": 1}, CONFIG)
    graph.invoke(Command(resume="yes"), CONFIG)
    first, second = started(saver)
    assert first.print == second.print == graph.plan.print != ""
    assert (first.release, second.release) == ("1", "1")
    assert first.shape == graph.plan.shape
    assert second.shape == ""  # the same as before


def test_another_graph_is_compatible_and_recorded():
    saver = InMemorySaver()
    asking("ask", saver=saver, version="1").invoke({"n": 1}, CONFIG)
    now = asking("ask", schema(float), saver=saver, version="2")
    assert now.invoke(Command(resume="yes"), CONFIG)["log"] == [["ask", "yes", 1]]
    first, second = started(saver)
    assert first.print != second.print
    assert (second.release, second.shape) == ("2", now.plan.shape)
    assert saver.reader.head("t").release == "2"


def test_the_same_names_are_the_same_graph_in_every_process(tmp_path):
    one = asking("ask", saver=InMemorySaver()).plan
    other = asking("ask", saver=InMemorySaver()).plan
    assert one.print == other.print
    assert one.print != asking("ask", schema(str), saver=InMemorySaver()).plan.print
    assert one.print != asking("other", saver=InMemorySaver()).plan.print
    assert one.print != asking("ask", saver=InMemorySaver(), version="2").plan.print


# -- migrations -------------------------------------------------------------------------------------


@pytest.fixture(params=["memory", "sqlite"])
def saver(request: pytest.FixtureRequest, tmp_path: Any) -> Any:
    made = InMemorySaver() if request.param == "memory" else SqliteSaver(str(tmp_path / "t.db"))
    yield made
    made.log.close()


def test_an_answer_by_id_finds_its_question_in_a_renamed_node(saver):
    asking("ask", saver=saver).invoke({"n": 1}, CONFIG)
    now = asking("approve", saver=saver, migrations=[Migration(nodes={"ask": "approve"})])
    before = asking("ask", saver=saver).get_state(CONFIG)
    after = now.get_state(CONFIG)  # whoever looks sees it under its new name, and the same question
    assert (before.next, after.next) == (("ask",), ("approve",))
    assert [one.id for one in before.interrupts] == [one.id for one in after.interrupts]
    (asked,) = after.interrupts
    assert now.invoke(Command(resume={asked.id: "yes"}), CONFIG)["log"] == [["approve", "yes", 1]]
    moved = started(saver)[-1].moved
    assert (moved.nodes, moved.since) == ({"ask": "approve"}, "")


def test_versions_follow_each_other_and_no_value_is_changed_twice(saver):
    def second(value: int) -> list[int]:
        return [value]

    def third(value: list[int]) -> list[int]:
        return [*value, 3]

    steps = [
        Migration(since="1", to="2", keys={"n": "ns"}, upcasts={"ns": second}),
        Migration(since="2", to="3", upcasts={"ns": third}),
    ]
    asking("ask", saver=saver, version="1").invoke({"n": 1}, CONFIG)
    now = asking("ask", schema(list, "ns"), "ns", saver=saver, version="3", migrations=steps)
    assert now.invoke(None, CONFIG)["ns"] == [1, 3]  # it asks again
    later = asking("ask", schema(list, "ns"), "ns", saver=saver, version="3", migrations=steps)
    assert later.invoke(Command(resume="yes"), CONFIG)["log"] == [["ask", "yes", [1, 3]]]
    assert [event.moved is None for event in started(saver)] == [True, False, True]


def test_what_a_migration_did_is_read_back_from_the_log(tmp_path):
    path = str(tmp_path / "t.db")
    saver = SqliteSaver(path)
    asking("ask", saver=saver, version="1").invoke({"n": 1}, CONFIG)
    options = {"version": "2", "migrations": [Migration(since="1", nodes={"ask": "go"}, upcasts={"n": str})]}
    asking("go", schema(str), saver=saver, **options).invoke(None, CONFIG)
    saver.log.close()
    saver = SqliteSaver(path)
    now = asking("go", schema(str), saver=saver, **options)
    assert now.get_state(CONFIG).values == {"n": "1", "log": []}
    assert now.get_state(CONFIG).next == ("go",)
    assert now.invoke(Command(resume="yes"), CONFIG)["log"] == [["go", "yes", "1"]]
    exported = tmp_path / "t.jsonl"
    write_file(saver.log, str(exported))
    copy = MemoryLog()
    bring(ExportFile(str(exported)), copy)
    assert LogSaver(copy).reader.head("t") == saver.reader.head("t")
    saver.log.close()


def test_a_migration_that_raises_changes_nothing(saver):
    asking("ask", saver=saver, version="1").invoke({"n": 1}, CONFIG)
    before = [record.event_id for record in saver.log.read_all()]
    broken = Migration(since="1", upcasts={"n": lambda value: value["no"]})
    with pytest.raises(IncompatibleGraphError, match="migration of 'n' raised TypeError") as caught:
        asking("ask", schema(str), saver=saver, version="2", migrations=[broken]).invoke(None, CONFIG)
    assert caught.value.obstacles[0].kind == "migration"
    unknown = Migration(since="1", fill=lambda values: {"nobody": 1})
    with pytest.raises(IncompatibleGraphError, match="'nobody', which the graph does not have"):
        asking("ask", saver=saver, version="2", migrations=[unknown]).invoke(None, CONFIG)
    assert [record.event_id for record in saver.log.read_all()] == before


def test_values_are_only_changed_between_named_versions():
    with pytest.raises(ValueError, match="compile\\(version"):
        asking("ask", saver=None, migrations=[Migration(since="", upcasts={"n": str})])
    with pytest.raises(ValueError, match="since"):
        asking("ask", saver=None, version="2", migrations=[Migration(upcasts={"n": str})])
    with pytest.raises(ValueError, match="same new name"):
        asking("ask", saver=None, migrations=[Migration(nodes={"a": "ask", "b": "ask"})])


def test_an_edit_from_outside_moves_the_thread_too(saver):
    asking("ask", saver=saver, version="1").invoke({"n": 1}, CONFIG)
    step = Migration(since="1", nodes={"ask": "go"}, upcasts={"n": str})
    now = asking("go", schema(str), saver=saver, version="2", migrations=[step])
    now.update_state(CONFIG, {"log": ["edited"]}, as_node="__start__")
    assert now.get_state(CONFIG).values == {"n": "1", "log": ["edited"]}
    assert saver.reader.head("t").release == "2"
    with pytest.raises(IncompatibleGraphError):
        asking("go", schema(list), saver=saver).update_state(CONFIG, {"log": ["no"]})


def test_programs_that_do_not_know_such_events_refuse_them(saver):
    asking("ask", saver=saver).invoke({"n": 1}, CONFIG)
    asking("go", saver=saver, migrations=[Migration(nodes={"ask": "go"})]).invoke(None, CONFIG)
    schemas = [record.schema for record in saver.log.read_all() if record.type == "RunStarted"]
    assert schemas == [SCHEMA, NEWEST]


# -- pins -------------------------------------------------------------------------------------------


@pytest.mark.guarantee("pinned-runs")
def test_a_pinned_run_goes_on_with_its_version_only(saver):
    one = asking("ask", saver=saver, version="1", pinned=True)
    one.invoke({"n": 1}, CONFIG)
    two = asking("ask", saver=saver, version="2", pinned=True)
    with pytest.raises(IncompatibleGraphError, match="pinned to version '1'") as caught:
        two.invoke(Command(resume="yes"), CONFIG)
    assert caught.value.obstacles[0].kind == "pinned"
    assert one.invoke(Command(resume="yes"), CONFIG)["log"] == [["ask", "yes", 1]]
    two.invoke({"n": 2}, CONFIG)  # another run, which is not that one's
    assert saver.reader.head("t").release == "2"


@pytest.mark.guarantee("pinned-runs")
def test_a_worker_goes_on_with_the_version_that_a_run_began_with():
    house = House()
    house.die("a", "b", "c", at="b", name="mine", version="1", pinned=True)
    two = house.graph(house.alive, "a", "z", name="mine", version="2")
    house.worker(two).run(once=True)
    assert house.told() == ["left"]
    assert "version '1', to which the run is pinned" in str(house.reports[0].text)
    one = house.graph(house.alive, "a", "b", "c", name="mine", version="1", pinned=True)
    house.worker(one, two).run(once=True)
    assert house.told() == ["left", "taken over", "finished"]
    assert one.get_state(CONFIG).values == {"log": ["in", "a", "b", "c"]}


def test_a_worker_leaves_what_its_version_cannot_go_on_with():
    house = House()
    house.die("a", "b", at="b", name="mine")
    house.worker(house.graph(house.alive, "a", "z", name="mine")).run(once=True)
    assert house.told() == ["left"]
    assert "node 'b' is to run next and is gone" in str(house.reports[0].text)
    house.worker(house.graph(house.alive, "a", "b", name="mine")).run(once=True)
    assert house.told() == ["left", "taken over", "finished"]


def test_a_worker_takes_each_version_once():
    house = House()
    graphs = [house.graph(house.alive, "a", name="mine", version="1") for _ in range(2)]
    with pytest.raises(UsageError, match="Two graphs named 'mine'"):
        house.worker(*graphs)


# -- replays ----------------------------------------------------------------------------------------


@pytest.mark.feature("NEW-04")
def test_a_replay_says_that_a_thread_would_be_migrated():
    saver = InMemorySaver()
    asking("ask", saver=saver, version="1").invoke({"n": 1}, CONFIG)
    assert asking("approve", saver=saver).replay(CONFIG).verdict == "diverged"
    now = asking("approve", saver=saver, version="2", migrations=[Migration(nodes={"ask": "approve"})])
    told = now.replay(CONFIG)
    assert (told.verdict, told.status) == ("migrated", "paused")
    assert (
        told.reason == "Its run was of version '1'; it would be brought here: node 'ask' becomes 'approve'."
    )
    now.invoke(Command(resume="yes"), CONFIG)
    assert now.check_thread(CONFIG).verdict == "same"


def test_a_graph_inside_a_renamed_node_goes_on_where_it_was():
    saver = InMemorySaver()

    def around(name: str, **options: Any) -> Any:
        builder = StateGraph(State).add_node(name, asking("ask", saver=None)).add_edge(START, name)
        return builder.compile(checkpointer=saver, **options)

    around("shop").invoke({"n": 1}, CONFIG)
    asked = around("shop").get_state(CONFIG).interrupts
    now = around("store", migrations=[Migration(nodes={"shop": "store"})])
    assert now.get_state(CONFIG).interrupts == asked
    inside = now.get_state(CONFIG, subgraphs=True).tasks[0].state
    assert inside.next == ("ask",)
    assert now.invoke(Command(resume={asked[0].id: "yes"}), CONFIG)["log"] == [["ask", "yes", 1]]


# -- hosts and crashes ------------------------------------------------------------------------------


def test_a_migration_survives_a_crash_at_every_point():
    step = Migration(since="1", nodes={"ask": "go"}, upcasts={"n": str})

    def migrating(saver: Any) -> Any:
        return asking("go", Text, saver=saver, version="2", migrations=[step])

    crashes, number, done = 0, 0, False
    while not done:
        number += 1
        for after in (False, True):
            log = MemoryLog()
            asking("ask", saver=LogSaver(log), version="1").invoke({"n": 1}, CONFIG)
            dying = MemoryLog(log.store)
            log.close()
            host = SimulatedHost(seed=number, crash_at=number, crash_after=after)
            try:
                migrating(LogSaver(dying)).with_host(host).invoke(Command(resume="yes"), CONFIG)
                done = True
            except SimulatedCrash:
                crashes += 1
            dying.abandon()
            graph = migrating(LogSaver(MemoryLog(log.store)))
            state = graph.get_state(CONFIG)
            assert state.values["n"] == "1"  # once, and not twice
            if state.next:
                graph.invoke(Command(resume="yes"), CONFIG)
            assert graph.get_state(CONFIG).values == {"n": "1", "log": [["go", "yes", "1"]]}
    assert crashes > 10


def test_asyncio_callers_are_migrated_and_refused_too():
    async def run() -> Any:
        saver = InMemorySaver()
        await asking("ask", saver=saver).ainvoke({"n": 1}, CONFIG)
        with pytest.raises(IncompatibleGraphError):
            await asking("go", saver=saver).ainvoke(Command(resume="yes"), CONFIG)
        now = asking("go", saver=saver, migrations=[Migration(nodes={"ask": "go"})])
        assert (await now.acheck_thread(CONFIG)).verdict == "migrated"
        return await now.ainvoke(Command(resume="yes"), CONFIG)

    assert asyncio.run(run())["log"] == [["go", "yes", 1]]


@pytest.mark.feature("NEW-04")
def test_a_replay_begins_where_a_thread_was_brought_to_this_graph():
    saver = InMemorySaver()
    asking("ask", saver=saver, version="1").invoke({"n": 1}, CONFIG)
    step = Migration(since="1", nodes={"ask": "go"}, upcasts={"n": str})
    now = asking("go", Text, saver=saver, version="2", migrations=[step])
    now.invoke(Command(resume="yes"), CONFIG)
    now.invoke({"n": "2"}, CONFIG)
    told = now.replay(CONFIG)
    assert (told.verdict, told.status, told.divergence) == ("same", "paused", None)
    assert told.unchecked == ("what it did at earlier versions of the graph, from which it was brought here",)
    other = asking("went", Text, saver=saver, version="2")
    assert other.replay(CONFIG).verdict == "diverged"
