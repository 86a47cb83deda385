"""Delta channels in savers of other people: what checkpoints keep of them, and that every checkpoint of every
branch reads back as it was. LangGraph 1.2.22 keeps the same; the expected values were compared with it.
"""

import asyncio
import uuid
from typing import Annotated, Any, TypedDict

import pytest

from dashflow.channels import LastValue
from dashflow.channels.delta import DeltaChannel
from dashflow.checkpoint.memory import InMemorySaver
from dashflow.checkpoint.sqlite import SqliteSaver
from dashflow.checkpoint.sqlite.aio import AsyncSqliteSaver
from dashflow.graph import END, START, StateGraph
from dashflow.pregel import NodeBuilder, Pregel
from dashflow.types import Command, Overwrite, interrupt
from dashflow.types.snapshots import DeltaSnapshot

pytestmark = pytest.mark.feature("CHAN-004")

CONFIG: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}


class OwnMemory(InMemorySaver):
    """A class of somebody else's: its threads are kept as LangGraph keeps them."""


class OwnSqlite(SqliteSaver):
    """The same on a file."""


class OwnAsyncSqlite(AsyncSqliteSaver):
    """The same for asyncio."""


class Driver:
    """Calls graphs on one host."""

    def __init__(self, asynchronous: bool, kind: str, folder: Any) -> None:
        self._runner = asyncio.Runner() if asynchronous else None
        if kind == "memory":
            self.saver: Any = OwnMemory()
        else:
            self.saver = (OwnAsyncSqlite if asynchronous else OwnSqlite)(str(folder / "threads.db"))

    def call(self, graph: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        if self._runner is None:
            return getattr(graph, method)(*args, **kwargs)

        async def act() -> Any:
            return await getattr(graph, f"a{method}")(*args, **kwargs)

        return self._runner.run(act())

    def run(self, graph: Any, given: Any, config: Any = CONFIG, **kwargs: Any) -> Any:
        return self.call(graph, "invoke", given, config, **kwargs)

    def update(self, graph: Any, values: Any, node: str, config: Any = CONFIG) -> Any:
        return self.call(graph, "update_state", config, values, as_node=node)

    def history(self, graph: Any) -> list[Any]:
        if self._runner is None:
            return list(graph.get_state_history(CONFIG))

        async def collect() -> list[Any]:
            return [one async for one in graph.aget_state_history(CONFIG)]

        return self._runner.run(collect())

    def stored(self) -> list[Any]:
        """The saver's checkpoints, oldest first."""
        if self._runner is None:
            return list(self.saver.list(CONFIG))[::-1]

        async def collect() -> list[Any]:
            return [one async for one in self.saver.alist(CONFIG)]

        return self._runner.run(collect())[::-1]

    def close(self) -> None:
        self.saver.log.close()
        if self._runner is not None:
            self._runner.close()


@pytest.fixture(params=["sync", "asyncio"])
def driver(request, tmp_path):
    made = Driver(request.param == "asyncio", "memory", tmp_path)
    yield made
    made.close()


@pytest.fixture(params=["sync", "exit"])
def durability(request):
    return request.param


def joined(value, writes):
    return value + [item for write in writes for item in write]


def channel(frequency=1000):
    return DeltaChannel(joined, list, snapshot_frequency=frequency)


def chain(saver, frequency=1000, **kwargs):
    """One writes ``a``, two writes ``b``, three writes ``a``."""

    class State(TypedDict):
        a: Annotated[list, channel(frequency)]
        b: Annotated[list, channel()]

    graph = StateGraph(State)
    graph.add_node("one", lambda state: {"a": ["one"]})
    graph.add_node("two", lambda state: {"b": ["two"]})
    graph.add_node("three", lambda state: {"a": ["three"]})
    graph.add_edge(START, "one").add_edge("one", "two").add_edge("two", "three")
    return graph.compile(checkpointer=saver, **kwargs)


def asking(saver):
    """One task is done while the other asks; then both are joined."""

    class State(TypedDict):
        a: Annotated[list, channel()]
        b: Annotated[list, channel()]

    graph = StateGraph(State)
    graph.add_node("does", lambda state: {"a": ["done"]})
    graph.add_node("asks", lambda state: {"b": [interrupt("?")]})
    graph.add_node("last", lambda state: {"a": ["last"]})
    graph.add_edge(START, "does").add_edge(START, "asks").add_edge(["does", "asks"], "last")
    return graph.compile(checkpointer=saver)


def kept(saved, *names):
    """Which channels a checkpoint has whole; this saver keeps a value as long as its version is in use."""
    values = saved.checkpoint["channel_values"]
    assert all(isinstance(values[name], DeltaSnapshot) for name in names if name in values)
    return {name for name in names if name in values}


def counters(saved):
    told = saved.metadata.get("counters_since_delta_snapshot", {})
    return {name: tuple(count) for name, count in told.items()}


def state(driver, graph, config=CONFIG):
    return driver.call(graph, "get_state", config).values


# -- cadence ---------------------------------------------------------------------------------------


def test_checkpoints_leave_the_channel_out_and_count(driver):
    graph = chain(driver.saver)
    driver.run(graph, {"a": ["in"]})
    saved = driver.stored()
    assert [kept(one, "a", "b") for one in saved] == [set()] * 5
    assert [counters(one).get("a") for one in saved] == [(0, 1), (1, 2), (2, 3), (2, 4), (3, 5)]
    assert [one.values for one in driver.history(graph)][::-1] == [
        {"a": [], "b": []},
        {"a": ["in"], "b": []},
        {"a": ["in", "one"], "b": []},
        {"a": ["in", "one"], "b": ["two"]},
        {"a": ["in", "one", "three"], "b": ["two"]},
    ]


def test_after_so_many_updates_it_is_stored_whole(driver):
    graph = chain(driver.saver, frequency=2)
    driver.run(graph, {"a": ["in"]})
    saved = driver.stored()
    assert [kept(one, "a") for one in saved] == [set(), set(), {"a"}, {"a"}, set()]
    assert [counters(one).get("a") for one in saved] == [(0, 1), (1, 2), None, (0, 1), (1, 2)]
    assert state(driver, graph) == {"a": ["in", "one", "three"], "b": ["two"]}


def test_after_so_many_supersteps_it_is_stored_whole_though_nobody_wrote(driver, monkeypatch):
    monkeypatch.setattr("dashflow._util.limits.DELTA_MAX_SUPERSTEPS", 4)
    graph = chain(driver.saver)
    driver.run(graph, {"a": ["in"], "b": ["in"]})
    assert [kept(one, "b") for one in driver.stored()] == [set(), set(), set(), {"b"}, {"b"}]
    driver.run(graph, {"a": ["again"]})
    assert state(driver, graph)["b"] == ["in", "two", "two"]


def test_a_snapshot_of_a_channel_nobody_wrote_wakes_nobody(driver, durability, monkeypatch):
    monkeypatch.setattr("dashflow._util.limits.DELTA_MAX_SUPERSTEPS", 3)
    graph = chain(driver.saver, interrupt_before=["three"])
    driver.run(graph, {"a": ["in"], "b": ["in"]}, durability=durability)
    assert driver.call(graph, "get_state", CONFIG).next == ("three",)
    result = driver.run(graph, None, durability=durability)
    assert result == {"a": ["in", "one", "three"], "b": ["in", "two"]}
    assert state(driver, graph) == result


@pytest.mark.parametrize("asynchronous", [False, True])
def test_files_keep_it_the_same_way(tmp_path, asynchronous):
    driver = Driver(asynchronous, "sqlite", tmp_path)
    graph = chain(driver.saver)
    driver.run(graph, {"a": ["in"]})
    driver.run(graph, {"a": ["more"]}, durability="exit")
    assert kept(driver.stored()[-1], "a", "b") == set()
    assert state(driver, graph)["a"] == ["in", "one", "three", "more", "one", "three"]
    driver.close()


# -- what must be stored whole ---------------------------------------------------------------------


def test_an_overwrite_is_stored_whole(driver, durability):
    graph = chain(driver.saver)
    driver.run(graph, {"a": ["in"]}, durability=durability)
    driver.run(graph, {"a": Overwrite(["new"])}, durability=durability)
    driver.run(graph, {"b": ["later"]}, durability=durability)
    assert state(driver, graph)["a"] == ["new", "one", "three", "one", "three"]


def test_an_input_to_a_named_checkpoint_leaves_its_other_children_alone(driver, durability):
    graph = chain(driver.saver)
    before = driver.run(graph, {"a": ["in"]})
    known = {one.config["configurable"]["checkpoint_id"]: one.values for one in driver.history(graph)}
    there = driver.history(graph)[2]
    driver.run(graph, {"a": ["beside"]}, there.config, durability=durability)
    assert state(driver, graph)["a"] == ["in", "one", "beside", "one", "three"]
    for one in driver.history(graph):
        identifier = one.config["configurable"]["checkpoint_id"]
        assert one.values == known.pop(identifier, one.values)
    assert known == {}, "all that was there still is"
    assert before == {"a": ["in", "one", "three"], "b": ["two"]}


def test_a_replay_begins_a_branch_of_its_own(driver, durability):
    graph = chain(driver.saver)
    first = driver.run(graph, {"a": ["in"], "b": ["in"]})
    there = driver.history(graph)[2]
    assert driver.run(graph, None, there.config, durability=durability) == first
    assert state(driver, graph) == first
    if durability == "sync":
        fork = next(one for one in driver.stored() if one.metadata["source"] == "fork")
        assert kept(fork, "a", "b") == {"b"}
        assert "__snapshot_bumps__" in fork.checkpoint["versions_seen"]


def test_results_that_were_stored_before_a_question_count_once(driver, durability):
    graph = asking(driver.saver)
    driver.run(graph, {"a": ["in"]}, durability=durability)
    result = driver.run(graph, Command(resume="yes"), durability=durability)
    assert result == {"a": ["in", "done", "last"], "b": ["yes"]}
    assert state(driver, graph) == result
    assert all(kept(one, "a", "b") == set() for one in driver.stored())


def test_a_command_with_an_answer_writes_too(driver, durability):
    graph = asking(driver.saver)
    driver.run(graph, {"a": ["in"]}, durability=durability)
    result = driver.run(graph, Command(resume="yes", update={"a": ["said"]}), durability=durability)
    assert sorted(result["a"]) == ["done", "in", "last", "said"]
    assert state(driver, graph) == result


def test_a_new_input_gives_up_what_was_pending(driver, durability):
    graph = asking(driver.saver)
    driver.run(graph, {"a": ["in"]}, durability=durability)
    driver.run(graph, {"a": ["new"]}, durability=durability)
    result = driver.run(graph, Command(resume="yes"), durability=durability)
    assert result == {"a": ["in", "new", "done", "last"], "b": ["yes"]}
    assert state(driver, graph) == result


# -- inputs and exits ------------------------------------------------------------------------------


def test_an_input_is_stored_on_the_checkpoint_it_comes_to(driver):
    node = NodeBuilder().subscribe_only("a").do(lambda value: f"saw {len(value)}").write_to("out")
    graph = Pregel(
        nodes={"node": node},
        channels={"a": channel(), "out": LastValue(str)},
        input_channels="a",
        output_channels="out",
        checkpointer=driver.saver,
    )
    assert driver.run(graph, ["x"]) == "saw 1"
    assert driver.run(graph, ["y"]) == "saw 2"
    first, ended, second, _ = driver.stored()
    assert kept(first, "a") == {"a"}  # a new thread has nothing to store it on
    assert kept(second, "a") == set()
    task = str(uuid.uuid5(uuid.UUID(ended.checkpoint["id"]), "__input__"))
    assert (task, "a", ["y"]) in ended.pending_writes


def test_exit_stores_a_stub_and_what_was_written_under_ids_that_sort(driver):
    graph = chain(driver.saver)
    result = driver.run(graph, {"a": ["in"]}, durability="exit")
    stub, ended = driver.stored()
    assert stub.metadata["step"] == -2
    assert stub.parent_config is None
    assert stub.checkpoint["channel_values"] == {}
    assert ended.parent_config["configurable"]["checkpoint_id"] == stub.checkpoint["id"]
    assert kept(ended, "a", "b") == set()
    assert counters(ended)["a"] == (3, 5)
    tasks = [task for task, _, _ in stub.pending_writes]
    assert tasks == sorted(tasks)
    assert [str(uuid.UUID(task)) for task in tasks] == tasks
    assert [value for _, name, value in stub.pending_writes if name == "a"] == [["in"], ["one"], ["three"]]
    assert state(driver, graph) == result
    driver.run(graph, {"a": ["more"]}, durability="exit")
    assert [one.metadata["step"] for one in driver.stored()].count(-2) == 1
    assert state(driver, graph)["a"] == ["in", "one", "three", "more", "one", "three"]


def test_exit_needs_no_stub_where_all_is_stored_whole_or_nothing_was_written(driver):
    graph = chain(driver.saver, frequency=1)

    class State(TypedDict):
        a: Annotated[list, channel(1)]
        n: int

    plain = StateGraph(State)
    plain.add_node("node", lambda state: {"n": 2})
    plain.add_edge(START, "node")
    graph = plain.compile(checkpointer=driver.saver)
    driver.run(graph, {"n": 1}, durability="exit")
    assert [one.metadata["step"] for one in driver.stored()] == [1]
    other = {"configurable": {"thread_id": "other", "checkpoint_ns": ""}}
    driver.run(graph, {"a": ["in"]}, other, durability="exit")
    assert state(driver, graph, other) == {"a": ["in"], "n": 2}


def test_durabilities_can_take_turns(driver):
    graph = chain(driver.saver, frequency=4)
    for number, durability in enumerate(["exit", "sync", "async", "exit", "sync"]):
        driver.run(graph, {"a": [number]}, durability=durability)
        expected = [item for n in range(number + 1) for item in (n, "one", "three")]
        assert state(driver, graph)["a"] == expected


# -- edits -----------------------------------------------------------------------------------------


def test_an_edit_of_a_new_thread_is_stored_whole(driver):
    graph = chain(driver.saver)
    driver.update(graph, {"a": ["x"]}, "one")
    (saved,) = driver.stored()
    assert kept(saved, "a", "b") == {"a"}
    assert counters(saved) == {}


def test_later_edits_are_stored_on_the_checkpoint_that_they_build_on(driver):
    graph = chain(driver.saver)
    driver.update(graph, {"a": ["x"]}, "one")
    driver.update(graph, {"a": ["y"]}, "one")
    first, second = driver.stored()
    assert kept(second, "a") == set()
    assert counters(second)["a"] == (1, 1)
    assert ["y"] in [value for _, name, value in first.pending_writes if name == "a"]
    assert state(driver, graph)["a"] == ["x", "y"]


def test_an_edit_of_an_old_checkpoint_is_stored_whole(driver):
    graph = chain(driver.saver)
    driver.run(graph, {"a": ["in"]})
    known = [one.values for one in driver.history(graph)]
    there = driver.history(graph)[2]
    driver.update(graph, {"a": ["edit"]}, "one", there.config)
    assert kept(driver.stored()[-1], "a") == {"a"}
    assert state(driver, graph)["a"] == ["in", "one", "edit"]
    assert [one.values for one in driver.history(graph)][1:] == known
    driver.run(graph, None)
    assert state(driver, graph) == {"a": ["in", "one", "edit", "three"], "b": ["two"]}


def test_edits_that_overwrite_act_as_input_copy_or_clear(driver):
    graph = chain(driver.saver)
    driver.run(graph, {"a": ["in"]})
    driver.update(graph, {"a": Overwrite(["new"])}, "three")
    assert state(driver, graph)["a"] == ["new"]
    driver.update(graph, {"a": ["input"]}, "__input__")
    driver.run(graph, None)
    assert state(driver, graph)["a"] == ["new", "input", "one", "three"]
    driver.update(graph, None, "__copy__")
    assert state(driver, graph)["a"] == ["new", "input", "one", "three"]
    driver.update(graph, None, END)
    assert state(driver, graph)["a"] == ["new", "input", "one", "three"]


def test_updates_of_one_edit_count_in_their_order(driver):
    graph = chain(driver.saver)
    driver.run(graph, {"a": ["in"]})
    updates = [("three", "z"), ("one", "x"), ("two", "y")]
    edit = [({"a": [word]}, node, None) for node, word in updates]
    driver.call(graph, "bulk_update_state", CONFIG, [edit, [({"b": ["end"]}, "two", None)]])
    assert state(driver, graph)["a"][-3:] == ["z", "x", "y"]


# -- threads in the log ----------------------------------------------------------------------------


def moved(found, target):
    """Put what a saver lists into another, as a program that moves threads does."""
    for one in reversed(found):
        before = (one.parent_config or {}).get("configurable", {}).get("checkpoint_id")
        where = {"configurable": {"thread_id": "t", "checkpoint_ns": "", "checkpoint_id": before}}
        stored = target.put(where, one.checkpoint, one.metadata, one.checkpoint["channel_versions"])
        for task in dict.fromkeys(write[0] for write in one.pending_writes):
            writes = [write[1:] for write in one.pending_writes if write[0] == task]
            target.put_writes(stored, writes, task)


def story(number, graph, asks, durability):
    """Some ways to use a thread; returns the graph that was used."""

    def run(graph, given, config=CONFIG):
        graph.invoke(given, config, durability=durability)

    if number in ("resumed", "edited", "given up", "updated"):
        run(asks, {"a": ["in"]})
        if number == "edited":
            asks.update_state(CONFIG, {"b": ["edit"]}, as_node="asks")
        if number == "given up":
            run(asks, {"a": ["new"]})
        run(asks, Command(resume="yes", update={"a": ["said"]} if number == "updated" else None))
        run(asks, {"b": ["more"]})
        return asks
    run(graph, {"a": ["in"], "b": ["in"]})
    if number == "overwritten":
        run(graph, {"a": Overwrite(["new"])})
    elif number == "replayed":
        run(graph, None, list(graph.get_state_history(CONFIG))[-1].config)
    elif number == "copied":
        graph.update_state(CONFIG, None, as_node="__copy__")
    run(graph, {"a": ["more"]})
    return graph


STORIES = ["plain", "overwritten", "replayed", "copied", "resumed", "edited", "given up", "updated"]


@pytest.mark.parametrize("number", STORIES)
def test_a_thread_of_the_log_that_is_moved_reads_as_before(number, durability, tmp_path):
    saver = InMemorySaver()
    graph = story(number, chain(saver, frequency=4), asking(saver), durability)
    found = list(saver.list(CONFIG))
    target = OwnSqlite(str(tmp_path / "threads.db"))
    moved(found, target)
    other = graph.copy()
    other.checkpointer = target
    assert any("a" not in one.checkpoint["channel_values"] for one in found)
    for one in found:
        assert other.get_state(one.config).values == graph.get_state(one.config).values


def test_the_log_shows_what_a_saver_would_keep(durability):
    saver, own = InMemorySaver(), OwnMemory()
    shown = []
    for each in (saver, own):
        graph = chain(each, frequency=4)
        for number in range(3):
            graph.invoke({"a": [number]}, CONFIG, durability=durability)
        rows = [one for one in each.list(CONFIG) if one.metadata["step"] > -2]
        shown.append([(kept(one, "a", "b"), counters(one)) for one in rows])
        assert len(rows) + (durability == "exit") == len(list(each.list(CONFIG)))
    assert shown[0] == shown[1]
