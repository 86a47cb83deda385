"""Callback managers for graph events: who is told, in which run, and what an error does."""

import asyncio
import logging
from uuid import uuid4

import pytest
from langchain_core.callbacks import AsyncCallbackManager, BaseCallbackHandler, CallbackManager

from dashflow.callbacks import (
    GraphCallbackHandler,
    GraphInterruptEvent,
    GraphResumeEvent,
    get_async_graph_callback_manager_for_config,
    get_sync_graph_callback_manager_for_config,
)
from dashflow.types import Interrupt

pytestmark = pytest.mark.feature("HIL-001")

INTERRUPT = GraphInterruptEvent(uuid4(), "pending", "cp", (), (Interrupt("why"),))
RESUME = GraphResumeEvent(uuid4(), "pending", "cp", ("sub:1",))


class Recorder(GraphCallbackHandler):
    """Writes down what it is told."""

    def __init__(self, error=None, raise_error=False):
        self.events = []
        self.error = error
        self.raise_error = raise_error

    def on_interrupt(self, event):
        self.events.append(event)
        if self.error:
            raise self.error

    def on_resume(self, event):
        self.events.append(event)


class AsyncRecorder(Recorder):
    """The same in coroutines."""

    async def on_interrupt(self, event):
        Recorder.on_interrupt(self, event)

    async def on_resume(self, event):
        Recorder.on_resume(self, event)


@pytest.fixture(params=["sync", "asyncio"])
def manager(request):
    """Makes the manager for what a config has as callbacks; its methods return when everybody was told."""
    make = {
        "sync": get_sync_graph_callback_manager_for_config,
        "asyncio": get_async_graph_callback_manager_for_config,
    }[request.param]

    def made(callbacks, **more):
        found = make({"callbacks": callbacks}, **more)
        if request.param == "sync":
            return found, lambda name, event: getattr(found, name)(event)
        return found, lambda name, event: asyncio.run(getattr(found, name)(event))

    return made


@pytest.mark.parametrize("kind", [Recorder, AsyncRecorder])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda handler: handler,
        lambda handler: [BaseCallbackHandler(), handler],
        lambda handler: CallbackManager(handlers=[BaseCallbackHandler(), handler]),
        lambda handler: AsyncCallbackManager(handlers=[handler]),
        lambda handler: get_sync_graph_callback_manager_for_config({"callbacks": handler}),
        lambda handler: get_async_graph_callback_manager_for_config({"callbacks": [handler]}),
    ],
    ids=["handler", "list", "manager", "async manager", "graph manager", "async graph manager"],
)
def test_graph_handlers_are_told_however_they_are_given(manager, kind, wrap):
    handler = kind()
    _, tell = manager(wrap(handler))
    tell("on_interrupt", INTERRUPT)
    tell("on_resume", RESUME)
    assert handler.events == [INTERRUPT, RESUME]


def test_other_handlers_are_not_told_also_when_they_are_added_later(manager):
    found, tell = manager(None)
    found.add_handler(BaseCallbackHandler(), inherit=True)
    tell("on_interrupt", INTERRUPT)
    assert len(found.handlers) == 1


def test_a_handler_that_raises_does_not_keep_others_from_being_told(manager, caplog):
    first, second = Recorder(ValueError("no")), Recorder()
    _, tell = manager([first, second])
    with caplog.at_level(logging.WARNING):
        tell("on_interrupt", INTERRUPT)
    assert second.events == [INTERRUPT]
    assert "no" in caplog.text


def test_a_handler_may_want_its_errors_raised(manager):
    _, tell = manager([Recorder(ValueError("no"), raise_error=True)])
    with pytest.raises(ValueError, match="no"):
        tell("on_interrupt", INTERRUPT)


def test_a_manager_knows_its_run_and_its_copies_theirs(manager):
    run, other = uuid4(), uuid4()
    found, _ = manager([Recorder()], run_id=run)
    assert found.run_id == run
    assert found.copy().run_id == run
    assert found.copy(run_id=other).run_id == other
    assert found.copy(run_id=None).run_id is None
    assert found.copy().handlers == found.handlers


@pytest.mark.parametrize("wrong", ["text", 1, object()])
def test_what_is_no_callback_is_refused(manager, wrong):
    with pytest.raises(TypeError, match="callbacks must be a handler, sequence, or manager"):
        manager(wrong)
