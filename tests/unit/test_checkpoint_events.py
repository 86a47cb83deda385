"""Graph events of older layouts: brought up to date whenever they are read, and never edited."""

import pytest

from dashflow.checkpoint import events
from dashflow.checkpoint.memory import InMemorySaver
from dashflow.checkpoint.thread import ThreadReader
from dashflow.core.events import RunStarted, StepCompleted
from dashflow.errors import CorruptEventError
from dashflow.graph import START, StateGraph
from dashflow.log.codec import Registry

pytestmark = pytest.mark.feature("LOG-04")

CONFIG = {"configurable": {"thread_id": "t"}}


@pytest.fixture
def saver():
    """A saver with a thread of one step, written by a program of schema 1."""
    saver = InMemorySaver()
    builder = StateGraph(dict)
    builder.add_node("a", lambda state: {"n": 1})
    builder.add_edge(START, "a")
    builder.compile(checkpointer=saver).invoke({"n": 0}, CONFIG)
    return saver


def test_old_events_are_read_as_if_they_were_new(saver, monkeypatch):
    stored = [(record.schema, record.data) for record in saver.log.read("run-t")]
    monkeypatch.setattr(events, "SCHEMA", 3)
    monkeypatch.setitem(events.UPCASTS, ("StepCompleted", 1), lambda old: {**old, "step": old["step"] + 10})
    monkeypatch.setitem(events.UPCASTS, ("StepCompleted", 2), lambda old: {**old, "step": old["step"] * 2})
    reader = ThreadReader(saver.log, Registry())
    assert reader.head("t").step == 22
    read = [event for _, event, _ in reader.line("t")]
    assert [type(event) for event in read][:2] == [RunStarted, StepCompleted]
    assert [(record.schema, record.data) for record in saver.log.read("run-t")] == stored


def test_an_upcast_that_does_not_fit_is_damage_that_is_told(saver, monkeypatch):
    monkeypatch.setattr(events, "SCHEMA", 2)
    monkeypatch.setitem(events.UPCASTS, ("RunStarted", 1), lambda old: {"run": old["gone"]})
    with pytest.raises(CorruptEventError, match="gone"):
        ThreadReader(saver.log, Registry()).head("t")


def test_events_of_a_later_program_are_refused(saver, monkeypatch):
    monkeypatch.setattr(events, "NEWEST", 0)
    with pytest.raises(CorruptEventError, match="may be newer"):
        ThreadReader(saver.log, Registry()).head("t")
