"""Threads that came in by hand: graphs go on from them, look at them, and leave them alone when told to."""

import operator
import pickle
from functools import partial
from typing import Annotated, TypedDict

import pytest

from dashflow.checkpoint.base import empty_checkpoint
from dashflow.checkpoint.memory import InMemorySaver, PersistentDict
from dashflow.checkpoint.serde.encrypted import EncryptedSerializer
from dashflow.checkpoint.serde.jsonplus import JsonPlusSerializer
from dashflow.checkpoint.sqlite import SqliteSaver
from dashflow.errors import UnknownCheckpointError
from dashflow.graph import END, START, StateGraph
from dashflow.types import Command, Overwrite, Send, interrupt

pytestmark = pytest.mark.feature("PERSIST-006")

CONFIG = {"configurable": {"thread_id": "t"}}
OTHER = {"configurable": {"thread_id": "other"}}


class State(TypedDict):
    log: Annotated[list, operator.add]


class Asking:
    """``start``, then at the same time ``ask`` with two questions, ``work``, and two packets to ``part``."""

    def __init__(self, saver):
        self.ran = []
        graph = StateGraph(State)
        for name in ("start", "ask", "work", "part"):
            graph.add_node(name, getattr(self, name))
        graph.add_edge(START, "start")
        graph.add_edge("start", "ask")
        graph.add_edge("start", "work")
        graph.add_conditional_edges("start", lambda state: [Send("part", 1), Send("part", 2)], ["part"])
        graph.add_edge("ask", END)
        self.graph = graph.compile(checkpointer=saver)

    def start(self, state):
        self.ran.append("start")
        return {"log": ["start"]}

    def ask(self, state):
        self.ran.append("ask")
        return {"log": [interrupt("one?") + interrupt("two?")]}

    def work(self, state):
        self.ran.append("work")
        return {"log": ["work"]}

    def part(self, number):
        self.ran.append("part")
        return {"log": [f"part {number}"]}


def put_all(found, saver, thread):
    """Put what a saver lists into another, as a program that moves threads does."""
    for one in reversed(found):
        before = (one.parent_config or {}).get("configurable", {}).get("checkpoint_id")
        where = {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}
        if before:
            where["configurable"]["checkpoint_id"] = before
        stored = saver.put(where, one.checkpoint, one.metadata, one.checkpoint["channel_versions"])
        for task in dict.fromkeys(write[0] for write in one.pending_writes):
            writes = [write[1:] for write in one.pending_writes if write[0] == task]
            saver.put_writes(stored, writes, task)


@pytest.fixture
def asked():
    """A thread that waits for its second answer."""
    saver = InMemorySaver()
    asking = Asking(saver)
    asking.graph.invoke({"log": ["in"]}, CONFIG)
    asking.graph.invoke(Command(resume="a"), CONFIG)
    return saver, asking


@pytest.fixture(params=["memory", "sqlite"])
def target(request, tmp_path):
    if request.param == "memory":
        yield InMemorySaver()
    else:
        with SqliteSaver.from_conn_string(str(tmp_path / "threads.db")) as saver:
            yield saver


def seen(snapshot):
    tasks = [(task.id, task.name, task.path, task.interrupts, task.result) for task in snapshot.tasks]
    return snapshot.values, snapshot.next, snapshot.metadata, snapshot.created_at, tasks


def test_a_thread_that_moved_goes_on_where_it_was(asked, target):
    saver, asking = asked
    put_all([*saver.list(CONFIG)], target, "other")
    moved = Asking(target)
    assert [seen(one) for one in moved.graph.get_state_history(OTHER)] == [
        seen(one) for one in asking.graph.get_state_history(CONFIG)
    ]
    assert seen(moved.graph.get_state(OTHER)) == seen(asking.graph.get_state(CONFIG))
    assert moved.graph.invoke(Command(resume="b"), OTHER) == asking.graph.invoke(Command(resume="b"), CONFIG)
    assert moved.graph.get_state(OTHER).values["log"] == ["in", "start", "ab", "work", "part 1", "part 2"]
    assert moved.ran == ["ask"], "what was done was not done again"


def test_a_copied_thread_goes_its_own_way(asked):
    saver, asking = asked
    saver.copy_thread("t", "other")
    assert asking.graph.invoke(Command(resume="b"), OTHER)["log"][2] == "ab"
    assert asking.graph.invoke(Command(resume="c"), CONFIG)["log"][2] == "ac"


def test_a_thread_goes_on_from_any_checkpoint_that_was_put(asked, target):
    saver, _ = asked
    found = [*saver.list(CONFIG)]
    put_all(found, target, "other")
    moved = Asking(target)
    first = found[-2].config["configurable"]["checkpoint_id"]
    place = {"configurable": {"thread_id": "other", "checkpoint_id": first}}
    assert moved.graph.get_state(place).next == ("start",)
    result = moved.graph.invoke(None, place)
    assert result["log"] == ["in", "start", "work", "part 1", "part 2"]
    assert moved.graph.get_state(OTHER).metadata["source"] == "loop"
    assert "__interrupt__" in result


def test_a_put_thread_can_be_edited(target):
    put_all([*asked_once().list(CONFIG)], target, "other")
    moved = Asking(target)
    moved.graph.update_state(OTHER, {"log": ["edited"]}, as_node="start")
    state = moved.graph.get_state(OTHER)
    assert state.values["log"] == ["in", "start", "edited"]
    assert state.metadata["source"] == "update"
    assert len([*target.list(OTHER)]) == len({one.checkpoint["id"] for one in target.list(OTHER)}) == 4


def asked_once():
    saver = InMemorySaver()
    Asking(saver).graph.invoke({"log": ["in"]}, CONFIG)
    return saver


def test_savers_show_what_graphs_did(asked):
    saver, asking = asked
    found = saver.get_tuple(CONFIG)
    state = asking.graph.get_state(CONFIG)
    tasks = {task.name: task.id for task in state.tasks if task.name != "part"}
    assert found.checkpoint["id"] == state.config["configurable"]["checkpoint_id"]
    assert found.checkpoint["v"] == 4
    assert found.checkpoint["channel_values"]["log"] == ["in", "start"]
    versions = found.checkpoint["channel_versions"]
    assert all(len(version.split(".")[0]) == 32 for version in versions.values())
    assert found.checkpoint["versions_seen"]["start"]["branch:to:start"] < versions["branch:to:start"]
    writes = [(task, channel) for task, channel, _ in found.pending_writes]
    assert writes[:3] == [
        (tasks["ask"], "__resume__"),
        (tasks["ask"], "__interrupt__"),
        (tasks["work"], "log"),
    ]
    assert [value for _, channel, value in found.pending_writes if channel == "__resume__"] == [["a"]]
    assert {task.id for task in state.tasks} == {task for task, _ in writes}


def test_a_forgotten_checkpoint_cannot_be_gone_back_to(asked):
    saver, asking = asked
    history = [*asking.graph.get_state_history(CONFIG)]
    saver.prune(["t"])
    assert [one.config for one in asking.graph.get_state_history(CONFIG)] == [history[0].config]
    with pytest.raises(UnknownCheckpointError):
        asking.graph.invoke(None, history[1].config)
    with pytest.raises(UnknownCheckpointError):
        asking.graph.get_state(history[1].config)
    assert asking.graph.invoke(Command(resume="b"), CONFIG)["log"][2] == "ab"
    saver.delete_thread("t")
    with pytest.raises(UnknownCheckpointError):
        asking.graph.get_state(history[0].config)
    assert asking.graph.get_state(CONFIG).values == {}
    assert asking.graph.invoke({"log": ["anew"]}, CONFIG)["log"][:2] == ["anew", "start"]


def test_a_thread_goes_on_from_before_a_forgotten_run(target):
    graph = StateGraph(State)
    graph.add_node("a", lambda state: {"log": ["a"]})
    graph.add_edge(START, "a")
    compiled = graph.compile(checkpointer=target)
    for run in ("first", "second"):
        compiled.invoke({"log": [run]}, {**CONFIG, "metadata": {"run_id": run}})
    target.delete_for_runs(["second"])
    assert compiled.get_state(CONFIG).values["log"] == ["first", "a"]
    assert compiled.invoke({"log": ["third"]}, CONFIG)["log"] == ["first", "a", "third", "a"]


def test_a_checkpoint_of_an_old_layout_goes_on(target):
    checkpoint = {
        **empty_checkpoint(),
        "v": 1,
        "channel_values": {"log": ["in"], "start:work": "__start__"},
        "channel_versions": {"__start__": 2, "log": 2, "start:work": 2},
        "versions_seen": {"__input__": {}, "__start__": {"__start__": 1}},
        "pending_sends": [Send("part", 7)],
    }
    versions = checkpoint["channel_versions"]
    target.put({"configurable": {"thread_id": "t", "checkpoint_ns": ""}}, checkpoint, {"step": 0}, versions)
    asking = Asking(target)
    assert set(asking.graph.get_state(CONFIG).next) == {"part", "work"}
    assert asking.graph.invoke(None, CONFIG)["log"] == ["in", "work", "part 7"]
    assert target.get_tuple(CONFIG).checkpoint["v"] == 4


def test_a_runs_step_counts_as_its_outcome_in_a_channels_history():
    saver = InMemorySaver()
    Asking(saver).graph.invoke({"log": ["in"]}, CONFIG)
    latest = saver.get_tuple(CONFIG)
    found = saver.get_delta_channel_history(config=latest.config, channels=["log"])["log"]
    assert found["seed"] == ["in"]
    assert [value for _, _, value in found["writes"]] == [Overwrite(["in", "start"])]


# -- encryption ---------------------------------------------------------------------------------


class Shift:
    """No cipher, but nothing can be read in what it makes."""

    def encrypt(self, plaintext):
        return "shift", bytes((byte + 77) % 256 for byte in plaintext)

    def decrypt(self, ciphername, ciphertext):
        return bytes((byte - 77) % 256 for byte in ciphertext)


@pytest.mark.parametrize("late", [False, True])
def test_with_an_encrypting_serialiser_nothing_readable_is_stored(tmp_path, late):
    path = tmp_path / "threads.db"
    serde = EncryptedSerializer(Shift(), require_encryption=True)
    saver = SqliteSaver(path, serde=None if late else serde)
    if late:
        saver.serde = serde
    asking = Asking(saver)
    asking.graph.invoke({"log": ["SECRET-INPUT"]}, CONFIG)
    asking.graph.invoke(Command(resume="SECRET-ANSWER"), CONFIG)
    asking.graph.update_state(CONFIG, {"log": ["SECRET-EDIT"]}, as_node="work")
    where = {"configurable": {"thread_id": "put", "checkpoint_ns": ""}}
    put_all([*saver.list(CONFIG)], saver, where["configurable"]["thread_id"])
    values = saver.get(CONFIG)["channel_values"]
    assert "SECRET-EDIT" in values["log"]
    assert saver.get(where)["channel_values"] == values
    saver.close()
    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"SECRET" not in stored
    again = SqliteSaver(path, serde=serde)
    assert again.get(CONFIG)["channel_values"] == values
    again.close()


def test_plain_data_is_refused_where_encryption_is_required(tmp_path):
    path = tmp_path / "threads.db"
    with SqliteSaver.from_conn_string(str(path)) as plain:
        Asking(plain).graph.invoke({"log": ["in"]}, CONFIG)
        plain.serde = EncryptedSerializer(Shift())
        assert plain.get(CONFIG)["channel_values"]["log"] == ["in", "start"]
        plain.serde = EncryptedSerializer(Shift(), require_encryption=True)
        with pytest.raises(ValueError, match="not encrypted"):
            plain.get(CONFIG)


def test_a_serialisers_own_error_surfaces():
    class Faulty(JsonPlusSerializer):
        def dumps_typed(self, obj):
            raise ValueError("Faulty serializer")

    with pytest.raises(ValueError, match="Faulty serializer"):
        Asking(InMemorySaver(serde=Faulty())).graph.invoke({"log": ["in"]}, CONFIG)


# -- the tables of the saver in memory ----------------------------------------------------------


def test_the_tables_show_what_graphs_did(asked):
    saver, _ = asked
    loads = saver.serde.loads_typed
    assert [*saver.storage] == ["t"]
    rows = saver.storage["t"][""]
    found = [*saver.list(CONFIG)]
    assert [*rows] == [one.checkpoint["id"] for one in reversed(found)]
    checkpoint, metadata, before = rows[found[0].checkpoint["id"]]
    assert loads(checkpoint)["channel_versions"] == found[0].checkpoint["channel_versions"]
    assert loads(metadata) == found[0].metadata
    assert before == found[1].checkpoint["id"]
    version = found[0].checkpoint["channel_versions"]["log"]
    assert loads(saver.blobs["t", "", "log", version]) == ["in", "start"]
    assert ("t", "", "log", version) in set(saver.blobs)
    assert "nobody" not in saver.storage
    assert saver.storage.get("nobody", {}) == {}
    assert not saver.storage["nobody"][""]


def test_what_is_written_into_the_tables_is_there():
    saver = InMemorySaver()
    dumps = saver.serde.dumps_typed
    one, two = ({**empty_checkpoint(), "id": name, "channel_versions": {"a": name}} for name in ("1", "2"))
    saver.blobs["t", "", "a", "1"] = dumps(["x"])
    saver.blobs["t", "", "a", "2"] = ("empty", b"")
    saver.storage["t"][""] = {
        "1": (dumps(one), dumps({"step": 1}), None),
        "2": (dumps(two), dumps({}), "1"),
    }
    saver.writes["t", "", "1"]["task", 0] = ("task", "a", dumps("y"), "path")
    assert saver.get_tuple(CONFIG).checkpoint["channel_values"] == {}
    place = {"configurable": {"thread_id": "t", "checkpoint_id": "1"}}
    found = saver.get_tuple(place)
    assert (found.checkpoint["channel_values"], found.pending_writes) == ({"a": ["x"]}, [("task", "a", "y")])
    assert saver.get_tuple(CONFIG).parent_config["configurable"]["checkpoint_id"] == "1"
    assert dict(saver.writes["t", "", "1"]) == {("task", 0): ("task", "a", dumps("y"), "path")}
    history = saver.get_delta_channel_history(config=CONFIG, channels=["a"])["a"]
    assert history == {"seed": ["x"], "writes": [("task", "a", "y")]}
    del saver.storage["t"][""]["2"]
    assert saver.get_tuple(CONFIG).checkpoint["id"] == "1"
    with pytest.raises(KeyError):
        del saver.storage["t"][""]["2"]
    with pytest.raises(TypeError, match="delete_thread"):
        del saver.writes["t", "", "1"]
    del saver.storage["t"]
    assert (len(saver.storage), len(saver.writes), len(saver.blobs)) == (0, 0, 0)


def test_a_factory_keeps_what_is_stored(tmp_path):
    class Kept(PersistentDict):
        """One file for each of the three tables, read when it is opened."""

        made = 0

        def __init__(self, *made_of):
            Kept.made += 1
            super().__init__(filename=str(tmp_path / str(Kept.made % 3)))
            if (tmp_path / str(Kept.made % 3)).exists():
                self.load()

    with InMemorySaver(factory=Kept) as saver:
        Asking(saver).graph.invoke({"log": ["in"]}, CONFIG)
    with InMemorySaver(factory=Kept) as saver:
        assert saver.get(CONFIG)["channel_values"]["log"] == ["in", "start"]
        assert Asking(saver).graph.get_state(CONFIG).next != ()


def test_a_persistent_dict_reads_data_only(tmp_path):
    kept = PersistentDict(list, filename=str(tmp_path / "kept"))
    kept["a"].append(("tag", b"x"))
    with kept:
        kept.sync()
    assert kept == {}
    kept.load()
    (tmp_path / "kept").write_bytes(pickle.dumps({"b": (b"", b"\xff")}, 2))
    kept.load()
    assert kept.pop("b") == (b"", b"\xff")
    assert kept == {"a": [("tag", b"x")]}
    (tmp_path / "kept").write_bytes(pickle.dumps({"a": partial(print, "ran")}))
    with pytest.raises(pickle.UnpicklingError, match="partial"):
        kept.load()


def test_a_savers_writes_name_the_tasks_that_the_run_had(target):
    builder = StateGraph(State)
    for name in "abc":
        builder.add_node(name, lambda state: {"log": ["x"]})
    builder.add_edge(START, "a")
    builder.add_edge(START, "b")
    builder.add_edge(["a", "b"], "c")
    graph = builder.compile(checkpointer=target)
    graph.invoke({"log": []}, CONFIG)
    ran = {task.id for snapshot in graph.get_state_history(CONFIG) for task in snapshot.tasks}
    assert {write[0] for one in target.list(CONFIG) for write in one.pending_writes} == ran
