"""StreamMux: the way of an event through transformers into the log, and what happens at the end."""

import asyncio
import logging

import pytest

from dashflow.stream import StreamChannel, StreamMux, StreamTransformer
from dashflow.stream.event import new_event, protocol_event

pytestmark = pytest.mark.feature("RUN-07")


class Tap(StreamTransformer):
    """Writes down what it sees, and objects to what it is told to."""

    def __init__(self, scope=(), *, name="tap", seen=None, objects_to=()):
        super().__init__(scope)
        self.name = name
        self.seen = [] if seen is None else seen
        self.objects_to = objects_to
        self.channel = StreamChannel(name)

    def init(self):
        return {self.name: self.channel}

    def process(self, event):
        self.seen.append((self.name, event["method"]))
        return event["method"] not in self.objects_to

    def finalize(self):
        self.seen.append((self.name, "finalized"))

    def fail(self, err):
        self.seen.append((self.name, f"failed: {err}"))


class Early(Tap):
    before_builtins = True


def event(method="values", data=None):
    return new_event(method, [], data)


def logged(mux):
    """The reader of the log: what is pushed from now on."""
    return iter(mux._events)


def test_a_part_becomes_an_event():
    made = protocol_event({"type": "values", "ns": ("a:1", "b:2"), "data": {"n": 1}, "interrupts": ("why",)})
    assert made["type"] == "event"
    assert made["method"] == "values"
    assert made["params"].pop("timestamp") > 1_700_000_000_000
    assert made["params"] == {"namespace": ["a:1", "b:2"], "data": {"n": 1}, "interrupts": ("why",)}
    assert "interrupts" not in protocol_event({"type": "custom", "ns": (), "data": 1})["params"]


def test_everybody_sees_an_event_and_one_objection_keeps_it_out_of_the_log():
    seen = []
    mux = StreamMux([Tap(name="a", seen=seen, objects_to=("tasks",)), Tap(name="b", seen=seen)])
    log = logged(mux)
    mux.push(event("tasks"))
    mux.push(event("values"))
    mux.close()
    assert [one["method"] for one in log] == ["values"]
    assert seen[:4] == [("a", "tasks"), ("b", "tasks"), ("a", "values"), ("b", "values")]


def test_early_transformers_run_first_and_the_order_stays_otherwise():
    seen = []
    mux = StreamMux(
        [Tap(name="d", seen=seen)],
        factories=[
            lambda scope: Tap(scope, name="b", seen=seen),
            lambda scope: Early(scope, name="a", seen=seen),
            lambda scope: Tap(scope, name="c", seen=seen),
        ],
    )
    mux.push(event())
    assert [name for name, _ in seen] == ["a", "b", "c", "d"]


def test_what_a_named_channel_gets_is_numbered_before_the_event_that_caused_it():
    class Echo(Tap):
        def process(self, event):
            self.channel.push("echo")
            return True

    class NativeEcho(Echo):
        _native = True

    mux = StreamMux([Echo(name="loud"), NativeEcho(name="built_in")])
    log = logged(mux)
    mux.push(event())
    mux.close()
    assert [(one["seq"], one["method"]) for one in log] == [
        (1, "custom:loud"),
        (2, "built_in"),
        (3, "values"),
    ]
    assert mux.native_keys == {"built_in"}
    assert mux.extensions.keys() == {"loud", "built_in"}
    assert mux.transformer_by_key("loud").name == "loud"
    assert mux.transformer_by_key("nothing") is None


def test_a_child_has_transformers_of_its_own_and_leaves_numbers_alone():
    mux = StreamMux(factories=[Tap])
    pumped = []
    mux.bind_pump(lambda: pumped.append(1) is not None)
    child = mux._make_child(("sub:1",))
    assert child.scope == ("sub:1",)
    assert child.transformer_by_key("tap").scope == ("sub:1",)
    log = logged(child)
    shared = event()
    child.push(shared)
    assert next(log) is shared
    assert "seq" not in shared
    assert next(log, None) is None
    assert pumped == [1], "reading the child drives the run"


def test_finished_transformers_cannot_be_copied_to_a_child():
    with pytest.raises(RuntimeError, match="factories="):
        StreamMux([Tap()])._make_child(("sub:1",))


def test_two_projections_of_one_name_are_refused():
    with pytest.raises(ValueError, match=r"Early.*conflict.*'tap' \(owned by Tap\)"):
        StreamMux([Tap()], factories=None)._register(Early())


def test_a_projection_must_be_a_dict():
    class Wrong(Tap):
        def init(self):
            return []

    with pytest.raises(TypeError, match="must return a dict, got list"):
        StreamMux([Wrong()])


def test_the_end_reaches_everybody_also_when_one_fails_at_it():
    class Broken(Tap):
        def finalize(self):
            raise ValueError(self.name)

    last = Tap(name="last")
    mux = StreamMux([Broken(name="first"), Broken(name="second"), last])
    with pytest.raises(ValueError, match="first"):
        mux.close()
    assert last.seen == [("last", "finalized")]
    assert mux.closed
    assert last.channel._closed


def test_a_failure_reaches_everybody_and_every_channel(caplog):
    class Deaf(Tap):
        def fail(self, err):
            raise KeyError("deaf")

    last = Tap(name="last")
    mux = StreamMux([Deaf(name="deaf"), last])
    reader, log = iter(last.channel), logged(mux)
    with caplog.at_level(logging.ERROR):
        mux.fail(RuntimeError("gone"))
    assert last.seen == [("last", "failed: gone")]
    assert "Deaf could not be told" in caplog.text
    for stream in (reader, log):
        with pytest.raises(RuntimeError, match="gone"):
            next(stream)


# -- async runs ----------------------------------------------------------------------------------


class Slow(Tap):
    """Changes an event, and takes its time."""

    async def aprocess(self, event):
        await asyncio.sleep(0)
        event["params"]["data"] = "changed"
        return True


class Scheduling(Tap):
    """Works on while the run goes on."""

    requires_async = True
    on_error = "log"

    def process(self, event):
        self.schedule(self.work(event), on_error=self.on_error)
        return True

    async def work(self, event):
        await asyncio.sleep(0)
        self.seen.append(("worked", event["method"]))


async def test_the_next_transformer_waits_for_an_async_one():
    class Reader(Tap):
        def process(self, event):
            self.seen.append(event["params"]["data"])
            return True

    reader = Reader(name="reader")
    mux = StreamMux([Slow(), reader], is_async=True)
    await mux.apush(event())
    assert reader.seen == ["changed"]


@pytest.mark.parametrize("kind", [Slow, Scheduling])
def test_a_sync_run_refuses_what_needs_a_loop(kind):
    with pytest.raises(RuntimeError, match="requires an async run"):
        StreamMux([kind()])


def test_a_transformer_may_say_that_it_does_both():
    class Both(Slow):
        supports_sync = True

    mux = StreamMux([Both()])
    mux.push(event())
    assert mux.transformer_by_key("tap").seen == [("tap", "values")]


def test_work_cannot_be_scheduled_without_a_loop():
    transformer = Scheduling()

    async def nothing():
        """Never run."""

    work = nothing()
    with pytest.raises(RuntimeError, match="requires a running event loop"):
        transformer.schedule(work)
    work.close()


def test_a_transformer_must_process_somehow():
    class Idle(StreamTransformer):
        def init(self):
            return {}

    with pytest.raises(NotImplementedError, match="Idle must override process"):
        StreamMux([Idle()]).push(event())


async def test_scheduled_work_is_done_before_the_end():
    transformer = Scheduling()
    mux = StreamMux([transformer], is_async=True)
    await mux.apush(event("values"))
    await mux.apush(event("custom"))
    await mux.aclose()
    assert transformer.seen == [("worked", "values"), ("worked", "custom"), ("tap", "finalized")]


async def test_failed_work_is_logged_or_fails_the_run(caplog):
    class Failing(Scheduling):
        async def work(self, event):
            raise ValueError("no score")

    mux = StreamMux([Failing()], is_async=True)
    await mux.apush(event())
    with caplog.at_level(logging.ERROR):
        await mux.aclose()
    assert "no score" in caplog.text

    class Strict(Failing):
        on_error = "raise"

    mux = StreamMux([Strict()], is_async=True)
    await mux.apush(event())
    with pytest.raises(ValueError, match="no score"):
        await mux.aclose()
    assert not mux.closed, "the run fails it now"


async def test_a_failure_cancels_scheduled_work():
    class Endless(Scheduling):
        async def work(self, event):
            try:
                await asyncio.Event().wait()
            finally:
                self.seen.append("cancelled")

    transformer = Endless()
    mux = StreamMux([transformer], is_async=True)
    await mux.apush(event())
    await asyncio.sleep(0)
    await mux.afail(RuntimeError("gone"))
    assert transformer.seen == ["cancelled", ("tap", "failed: gone")]
