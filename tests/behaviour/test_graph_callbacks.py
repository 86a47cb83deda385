"""Handlers that are told when a run stops for a question or a breakpoint, and when it goes on."""

from typing import Any

import pytest

from dashflow.callbacks import GraphCallbackHandler
from dashflow.types import Command, interrupt

pytestmark = pytest.mark.feature("HIL-001")


class Recorder(GraphCallbackHandler):
    """Writes down what it is told; may object."""

    def __init__(self, raises: str = "", raise_error: bool = False) -> None:
        self.events: list[Any] = []
        self.raises = raises
        self.raise_error = raise_error

    def on_interrupt(self, event: Any) -> None:
        self._take("interrupt", event)

    def on_resume(self, event: Any) -> None:
        self._take("resume", event)

    def _take(self, kind: str, event: Any) -> None:
        self.events.append((kind, event))
        if self.raises == kind:
            raise ValueError(f"boom at {kind}")


def asks(state: Any) -> Any:
    return {"log": [interrupt("name?")]}


def config(world, *handlers):
    return {**world.config(), "callbacks": list(handlers)}


def test_a_question_and_its_answer_are_told(recorded) -> None:
    graph = recorded.compile(recorded.graph([recorded.says("a"), asks]))
    handler = Recorder()
    recorded.run(graph, {"n": 1}, config(recorded, handler))
    ((kind, stopped),) = handler.events
    assert kind == "interrupt"
    assert (stopped.checkpoint_ns, stopped.status) == ((), "pending")
    assert [question.value for question in stopped.interrupts] == ["name?"]
    assert stopped.checkpoint_id == recorded.state(graph).config["configurable"]["checkpoint_id"]
    assert stopped.run_id is not None

    handler.events.clear()
    assert recorded.run(graph, Command(resume="Ada"), config(recorded, handler))["log"] == ["a", "Ada"]
    ((kind, resumed),) = handler.events
    assert kind == "resume"
    assert (resumed.checkpoint_ns, resumed.checkpoint_id) == ((), stopped.checkpoint_id)
    assert resumed.run_id != stopped.run_id


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_breakpoint_is_told(recorded, when) -> None:
    graph = recorded.compile(
        recorded.graph([recorded.says("a"), recorded.says("b")]), **{f"interrupt_{when}": ["a"]}
    )
    handler = Recorder()
    recorded.run(graph, {"n": 1}, config(recorded, handler))
    ((kind, stopped),) = handler.events
    assert (kind, stopped.status, stopped.interrupts) == ("interrupt", f"interrupt_{when}", ())
    recorded.run(graph, None, config(recorded, handler))
    assert handler.events[1][0] == "resume"


def test_a_question_in_a_subgraph_is_told_once(recorded) -> None:
    graph = recorded.compile(recorded.graph([("sub", recorded.graph([asks]).compile())]))
    handler = Recorder()
    recorded.run(graph, {"n": 1}, config(recorded, handler))
    assert [(kind, event.checkpoint_ns) for kind, event in handler.events] == [("interrupt", ())]
    handler.events.clear()
    recorded.run(graph, Command(resume="Ada"), config(recorded, handler))
    assert [kind for kind, _ in handler.events] == ["resume", "resume"]
    assert handler.events[0][1].checkpoint_ns == ()
    assert handler.events[1][1].checkpoint_ns[0].startswith("sub:")


def test_a_run_without_questions_tells_nothing(world) -> None:
    handler = Recorder()
    world.run(world.compile(world.graph([world.says("a")])), {"n": 1}, config(world, handler))
    assert handler.events == []


def test_an_error_of_a_handler_changes_nothing(recorded) -> None:
    graph = recorded.compile(recorded.graph([asks]))
    broken, other = Recorder("interrupt"), Recorder()
    assert "__interrupt__" in recorded.run(graph, {"n": 1}, config(recorded, broken, other))
    assert len(other.events) == 1
    broken = Recorder("resume")
    assert recorded.run(graph, Command(resume="Ada"), config(recorded, broken))["log"] == ["Ada"]


def test_a_handler_may_want_its_errors_raised(recorded) -> None:
    graph = recorded.compile(recorded.graph([asks]))
    with pytest.raises(ValueError, match="boom at interrupt"):
        recorded.run(graph, {"n": 1}, config(recorded, Recorder("interrupt", raise_error=True)))
    with pytest.raises(ValueError, match="boom at resume"):
        recorded.run(graph, Command(resume="Ada"), config(recorded, Recorder("resume", raise_error=True)))
    assert recorded.run(graph, Command(resume="Ada"))["log"] == ["Ada"], "the question is still open"
