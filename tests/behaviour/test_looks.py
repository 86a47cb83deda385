"""Looking at a thread costs what is asked of it: what is not asked for is not made, what is, is made once.

Counted, not timed: how often values are made of what the log holds.
"""

import copy
import pickle
import threading
import tracemalloc
from operator import add
from random import Random
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import HumanMessage

from dashflow.checkpoint.kept import Stored
from dashflow.checkpoint.memory import InMemorySaver
from dashflow.checkpoint.saver import LogSaver
from dashflow.checkpoint.sqlite import SqliteSaver
from dashflow.checkpoint.thread import ThreadReader
from dashflow.errors import ValueCodecError
from dashflow.graph import END, START, MessagesState, StateGraph
from dashflow.log.codec import foreign
from dashflow.log.memory import MemoryLog
from dashflow.types import StateSnapshot, interrupt

pytestmark = pytest.mark.feature("NEW-02")

HERE: Any = {"configurable": {"thread_id": "t"}}


class Talk(TypedDict):
    messages: Annotated[list[dict[str, str]], add]


class Large(TypedDict):
    n: int
    held: bytes


def reply(state: MessagesState) -> dict[str, Any]:
    return {"messages": [HumanMessage(f"reply {len(state['messages'])}")]}


def conversation(saver: Any, node: Any = reply, schema: Any = MessagesState) -> Any:
    return StateGraph(schema).add_node("reply", node).add_edge(START, "reply").compile(checkpointer=saver)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was made: ``value`` for a channel's, ``message`` for each message."""
    seen: list[str] = []
    value, message = Stored.value, foreign.langchain_from

    def count_value(self: Stored) -> Any:
        seen.append("value")
        return value(self)

    def count_message(parts: list[Any]) -> Any:
        seen.append("message")
        return message(parts)

    monkeypatch.setattr(Stored, "value", count_value)
    monkeypatch.setattr(foreign, "langchain_from", count_message)
    return seen


def test_opening_a_thread_makes_nothing_and_touching_it_makes_each_message_once(made):
    graph = conversation(InMemorySaver())
    graph.invoke({"messages": [HumanMessage(str(number)) for number in range(50)]}, HERE)
    made.clear()
    shown = graph.get_state(HERE)
    assert (shown.next, shown.tasks, shown.interrupts) == ((), (), ())
    assert shown.metadata["step"] == 1
    assert made == []
    assert len(shown.values["messages"]) == 51
    assert shown.values is shown.values
    assert (made.count("value"), made.count("message")) == (1, 51)


def test_opening_a_thread_that_waits_makes_nothing_of_what_its_node_reads(made):
    def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [interrupt("Well?")]}

    graph = conversation(InMemorySaver(), ask)
    graph.invoke({"messages": [HumanMessage(str(number)) for number in range(50)]}, HERE)
    made.clear()
    shown = graph.get_state(HERE)
    assert shown.next == ("reply",)
    assert [question.value for question in shown.interrupts] == ["Well?"]
    assert "message" not in made


def test_a_turn_makes_each_message_before_it_once(made):
    graph = conversation(InMemorySaver())
    counts = []
    for turn in range(6):
        made.clear()
        graph.invoke({"messages": [HumanMessage(str(turn))]}, HERE)
        counts.append(made.count("message"))
    assert counts == [0, 2, 4, 6, 8, 10]


def test_history_makes_the_values_of_the_states_that_are_looked_at(made):
    graph = conversation(InMemorySaver())
    for turn in range(4):
        graph.invoke({"messages": [HumanMessage(str(turn))]}, HERE)
    made.clear()
    history = list(graph.get_state_history(HERE))
    assert [shown.metadata["step"] for shown in history] == [*range(10, -2, -1)]
    assert made.count("value") == 0
    assert [len(shown.values["messages"]) for shown in history[:3]] == [8, 7, 6]
    assert made.count("value") == 3


def test_after_a_long_run_its_thread_is_open_for_everybody(made, monkeypatch):
    log = MemoryLog()
    graph = conversation(LogSaver(log))
    graph.invoke({"messages": [HumanMessage(f"{number} " * 20) for number in range(2000)]}, HERE)
    assert log.snapshot("run-t").version == log.version("run-t")
    read = []
    folded = ThreadReader.kept_event
    monkeypatch.setattr(ThreadReader, "kept_event", lambda *args: read.append(1) or folded(*args))
    made.clear()
    shown = conversation(LogSaver(MemoryLog(log.store))).get_state(HERE)
    assert len(shown.values["messages"]) == 2001
    assert (made.count("value"), made.count("message"), read) == (1, 2001, [])


def test_a_short_run_leaves_no_snapshot():
    log = MemoryLog()
    conversation(LogSaver(log)).invoke({"messages": ["hello"]}, HERE)
    assert log.snapshot("run-t") is None


def test_each_look_has_values_of_its_own():
    graph = conversation(InMemorySaver())
    graph.invoke({"messages": ["hello"]}, HERE)
    mine, yours = graph.get_state(HERE), graph.get_state(HERE)
    mine.values["messages"][0].content = "changed"
    mine.values["messages"].clear()
    assert [message.content for message in yours.values["messages"]] == ["hello", "reply 1"]
    assert graph.get_state(HERE).values == yours.values
    result = graph.invoke({"messages": ["more"]}, HERE)
    assert [message.content for message in result["messages"]] == ["hello", "reply 1", "more", "reply 3"]


def test_a_late_look_sees_what_there_was():
    graph = conversation(InMemorySaver())
    graph.invoke({"messages": ["hello"]}, HERE)
    early = graph.get_state(HERE)
    graph.invoke({"messages": ["more"]}, HERE)
    graph.update_state(HERE, {"messages": ["by hand"]})
    assert [message.content for message in early.values["messages"]] == ["hello", "reply 1"]
    assert early.next == ()


def test_what_a_node_changes_in_place_changes_nothing_that_was_kept():
    def spoil(state: Talk) -> dict[str, Any]:
        for message in state["messages"]:
            message["content"] += "!"
        return {"messages": [{"content": "new"}]}

    graph = conversation(InMemorySaver(), spoil, Talk)
    graph.invoke({"messages": [{"content": "a"}]}, HERE)
    unmade, before = graph.get_state(HERE), graph.get_state(HERE).values
    was = copy.deepcopy(before)
    graph.invoke({"messages": [{"content": "c"}]}, HERE)
    assert before == unmade.values == was


def test_a_snapshot_is_a_tuple_in_every_way():
    graph = conversation(InMemorySaver(), schema=Talk, node=lambda state: {"messages": [{"n": "1"}]})
    graph.invoke({"messages": [{"n": "0"}]}, HERE)

    def shown() -> StateSnapshot:
        return graph.get_state(HERE)

    whole = StateSnapshot(*shown())
    assert type(whole.values) is dict
    assert whole == shown()
    assert shown() == whole == tuple(shown())
    assert not shown() != whole  # noqa: SIM202  # the operator itself
    assert shown() != 3
    assert isinstance(shown(), StateSnapshot)
    assert len(shown()) == 8
    values, following, *_, questions = shown()
    assert (values, following, questions) == (whole.values, (), ())
    assert shown()[0] == whole[0]
    assert shown()[-1] == ()
    assert shown()[:2] == whole[:2]
    assert shown()._asdict() == whole._asdict()
    assert repr(shown()) == repr(whole)
    assert whole.values in shown()
    assert shown().index(whole.config) == 2
    assert shown().count(()) == 3
    assert shown() + (1,) == (*whole, 1)  # noqa: RUF005  # as above
    assert (1,) + shown() == (1, *whole)  # noqa: RUF005  # as above
    assert shown() * 2 == tuple(whole) * 2
    assert shown() <= whole
    assert shown() >= whole
    for twin in (copy.copy(shown()), copy.deepcopy(shown()), pickle.loads(pickle.dumps(shown()))):
        assert (type(twin), twin) == (StateSnapshot, whole)
    for fields in ({"next": ("x",)}, {"values": 1}, {"config": {}, "tasks": (1,)}):
        assert shown()._replace(**fields) == whole._replace(**fields)
    assert StateSnapshot._make(shown()) == whole
    assert type(shown())(*whole) == whole
    with pytest.raises(TypeError):
        hash(shown())
    with pytest.raises(ValueError, match="unexpected"):
        shown()._replace(other=1)
    with pytest.raises(AttributeError):
        shown().values = 1
    match shown():
        case StateSnapshot(values={"messages": messages}, next=()):
            assert messages == whole.values["messages"]
        case _:
            raise AssertionError


def test_threads_that_share_a_snapshot_see_the_same_values():
    graph = conversation(InMemorySaver())
    graph.invoke({"messages": [HumanMessage(str(number)) for number in range(300)]}, HERE)
    shown, seen = graph.get_state(HERE), []
    threads = [threading.Thread(target=lambda: seen.append(shown.values)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(values is seen[0] for values in seen)


def test_a_class_that_is_not_known_is_told_when_its_value_is_looked_at():
    log = MemoryLog()

    class Thing(TypedDict):
        thing: Any

    class Local(HumanMessage):
        pass

    graph = conversation(LogSaver(log), lambda state: {"thing": Local("a")}, Thing)
    graph.invoke({"thing": 0}, HERE)
    data = log.read("run-t")
    other = MemoryLog()
    from dashflow.log.base import Append, NewEvent

    for record in data:
        raw = record.data.replace(b"Local", b"Lacol")
        event = NewEvent(type=record.type, data=raw, event_id=record.event_id, at=record.at)
        other.append(Append("run-t", (event,), record.version - 1))
    shown = conversation(LogSaver(other), lambda state: {}, Thing).get_state(HERE)
    assert shown.next == ()
    with pytest.raises(ValueCodecError, match="Lacol"):
        _ = shown.values


@pytest.mark.feature("LOG-06")
def test_opening_a_thread_of_large_values_has_few_of_them_in_memory(tmp_path):
    def work(state: Large):
        return {"n": state["n"] + 1, "held": Random(state["n"]).randbytes(100_000)}

    builder = StateGraph(Large).add_node("work", work).add_edge(START, "work")
    builder.add_conditional_edges("work", lambda state: "work" if state["n"] < 200 else END)
    config = {"recursion_limit": 300, "configurable": {"thread_id": "t"}}
    with SqliteSaver.from_conn_string(str(tmp_path / "log.db")) as saver:
        builder.compile(checkpointer=saver).invoke({"n": 0}, config)
    with SqliteSaver.from_conn_string(str(tmp_path / "log.db")) as saver:
        tracemalloc.start()
        saver.reader.at("t", saver.log.version("run-t") - 1)  # not where a snapshot is
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert most < 8_000_000  # all of them are 20 MB
