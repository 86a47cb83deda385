"""LangGraph's errors and warnings: their texts, their fields, and that they survive pickling."""

import pickle
from typing import Any

import pytest

import dashflow.errors
from dashflow.errors import (
    EmptyChannelError,
    GraphBubbleUp,
    GraphDrained,
    GraphInterrupt,
    NodeCancelledError,
    NodeError,
    NodeInterrupt,
    NodeTimeoutError,
    ParentCommand,
    UnknownInterruptError,
)
from dashflow.types import Command, Interrupt
from dashflow.warnings import LangGraphDeprecatedSinceV10, LangGraphDeprecatedSinceV11


def deprecated_interrupt(*args: Any) -> Exception:
    with pytest.warns(LangGraphDeprecatedSinceV10, match="NodeInterrupt is deprecated. Please use"):
        return NodeInterrupt(*args)


@pytest.mark.parametrize(
    "make",
    [
        lambda: EmptyChannelError(),
        lambda: GraphInterrupt((Interrupt("q", "id"),)),
        lambda: deprecated_interrupt("q"),
        lambda: deprecated_interrupt("q", "id"),
        lambda: GraphDrained("sigterm"),
        lambda: ParentCommand(Command(goto="x")),
        lambda: NodeCancelledError("n"),
        lambda: NodeTimeoutError("n", 2.5, kind="idle", idle_timeout=1.0, run_timeout=9.0),
        lambda: UnknownInterruptError("no", reason="not_pending", interrupt_ids=["a"], pending_ids=["b"]),
    ],
)
def test_errors_survive_pickling(make):
    error = make()
    error.add_note("a note")
    twin = pickle.loads(pickle.dumps(error))
    assert type(twin) is type(error)
    assert (str(twin), twin.args, twin.__dict__) == (str(error), error.args, error.__dict__)


def test_errors_are_stored_under_their_public_name():
    assert {NodeTimeoutError.__module__, NodeInterrupt.__module__, NodeError.__module__} == {
        "dashflow.errors"
    }
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = dashflow.errors.nothing


def test_a_timeout_says_which_limit_was_exceeded():
    idle = NodeTimeoutError("n", 2.5, kind="idle", idle_timeout=1.0)
    assert str(idle) == (
        "Node 'n' exceeded its idle timeout of 1.000s without making progress (elapsed: 2.500s)."
    )
    run = NodeTimeoutError("n", 2.5, kind="run", run_timeout=2.0, idle_timeout=1.0)
    assert str(run) == "Node 'n' exceeded its run timeout of 2.000s (elapsed: 2.500s)."
    assert (run.timeout, idle.timeout, run.kind) == (2.0, 1.0, "run")
    assert not isinstance(run, TimeoutError)
    with pytest.raises(ValueError, match="run_timeout is required when kind='run'"):
        NodeTimeoutError("n", 1.0, kind="run", idle_timeout=1.0)
    with pytest.raises(ValueError, match="kind must be 'idle' or 'run'"):
        NodeTimeoutError("n", 1.0, kind="other")


def test_the_old_interrupt_asks_like_the_new_one():
    old = deprecated_interrupt("q", "id")
    assert isinstance(old, GraphInterrupt)
    assert isinstance(old, GraphBubbleUp)
    assert old.args[0] == [Interrupt("q", "id")]
    assert NodeError("n", old).node == "n"


def test_deprecation_warnings_say_since_when_and_until_when():
    warning = LangGraphDeprecatedSinceV11("Old thing.")
    assert str(warning) == "Old thing. Deprecated in LangGraph V1.1 to be removed in V3.0."
    assert str(pickle.loads(pickle.dumps(warning))) == str(warning)
