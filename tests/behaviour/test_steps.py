"""Steps: what a node does once, however often it runs; on every host and backend."""

import threading

import pytest

from dashflow._util.drive import drive
from dashflow.errors import NondeterministicStepError, ValueCodecError
from dashflow.func import astep, idempotency_key, step
from dashflow.types import Command, RetryPolicy, interrupt
from dashflow.warnings import ChangedArgumentsWarning, UnrecordedEffectWarning

pytestmark = pytest.mark.feature("NEW-05")


class Receiver:
    """Somebody outside, who counts what is done to them."""

    def __init__(self) -> None:
        self.calls = []
        self.keys = []

    def charge(self, amount, idempotency_key):
        self.calls.append(amount)
        self.keys.append(idempotency_key)
        return f"receipt {len(self.calls)}"


@pytest.fixture
def receiver():
    return Receiver()


def node(world, name, flow):
    """A node from ``flow(state, do)``, where ``await do(...)`` is ``step`` or, under asyncio, ``astep``."""

    async def do(*args, **kwargs):
        return step(*args, **kwargs)

    async def on_loop(state):
        return await flow(state, astep)

    return name, on_loop if world.kind == "asyncio" else lambda state: drive(flow(state, do))


def asked(world, graph):
    return [question.value for question in world.state(graph).interrupts]


# -- once --------------------------------------------------------------------------------------------


@pytest.mark.guarantee("step-once")
def test_a_step_before_a_question_is_done_once(recorded, receiver) -> None:
    async def pay(state, do):
        first = await do("charge", receiver.charge, 1)
        return {"log": [first, interrupt("a?"), await do("charge", receiver.charge, 2), interrupt("b?")]}

    def build():
        return recorded.compile(recorded.graph([node(recorded, "pay", pay)]))

    graph = build()
    recorded.run(graph, {"n": 1})
    assert receiver.calls == [1]
    recorded.run(graph, Command(resume="A"))
    assert receiver.calls == [1, 2]
    recorded.reopen()
    done = recorded.run(build(), Command(resume="B"))
    assert done["log"] == ["receipt 1", "A", "receipt 2", "B"]
    assert receiver.calls == [1, 2]
    assert len({*receiver.keys}) == 2


def test_a_step_before_a_failure_is_done_once(recorded, receiver) -> None:
    broken = [True]

    async def pay(state, do):
        receipt = await do("charge", receiver.charge, 1)
        if broken:
            raise RuntimeError("the power is off")
        return {"log": [receipt]}

    graph = recorded.compile(recorded.graph([node(recorded, "pay", pay)]))
    with pytest.raises(RuntimeError, match="power"):
        recorded.run(graph, {"n": 1})
    broken.clear()
    assert recorded.run(graph, None)["log"] == ["receipt 1"]
    assert receiver.calls == [1]


@pytest.mark.guarantee("step-once")
def test_a_step_before_a_retry_is_done_once(recorded, receiver) -> None:
    attempts = []

    async def pay(state, do):
        receipt = await do("charge", lambda: [receiver.charge(1, "")])
        attempts.append(list(receipt))
        receipt.append("altered by this attempt")
        if len(attempts) < 3:
            raise ConnectionError
        return {"log": receipt}

    builder = recorded.graph([])
    policy = RetryPolicy(initial_interval=0, jitter=False)
    builder.add_node(*node(recorded, "pay", pay), retry_policy=policy).add_edge("__start__", "pay")
    assert recorded.run(recorded.compile(builder), {"n": 1})["log"] == [
        "receipt 1",
        "altered by this attempt",
    ]
    assert (receiver.calls, attempts) == ([1], [["receipt 1"]] * 3)


def test_a_step_that_fails_is_not_recorded_and_tried_again_under_its_key(recorded) -> None:
    keys, broken = [], [True]

    def charge(idempotency_key):
        keys.append(idempotency_key)
        if broken:
            raise TimeoutError("no answer")
        return "paid"

    async def pay(state, do):
        return {"log": [await do("charge", charge)]}

    graph = recorded.compile(recorded.graph([node(recorded, "pay", pay)]))
    with pytest.raises(TimeoutError) as failed:
        recorded.run(graph, {"n": 1})
    assert "During step 'charge' of task 'pay'" in failed.value.__notes__
    broken.clear()
    assert recorded.run(graph, None)["log"] == ["paid"]
    assert keys[0] == keys[1]


def test_a_step_that_the_node_tries_again_itself_is_still_the_same(recorded) -> None:
    keys = []

    def charge(amount, idempotency_key):
        keys.append(idempotency_key)
        if len(keys) == 1:
            raise TimeoutError
        return f"paid {amount}"

    async def pay(state, do):
        try:
            paid = await do("charge", charge, 7)
        except TimeoutError:
            paid = await do("charge", charge, 7)
        return {"log": [paid, await do("other", charge, 8), interrupt("fine?")]}

    graph = recorded.compile(recorded.graph([node(recorded, "pay", pay)]))
    recorded.run(graph, {"n": 1})
    done = recorded.run(graph, Command(resume="yes"))
    assert done["log"] == ["paid 7", "paid 8", "yes"]
    assert (keys[0] == keys[1], keys[1] == keys[2], len(keys)) == (True, False, 3)


def test_a_result_that_cannot_be_stored_is_told(recorded) -> None:
    async def pay(state, do):
        await do("charge", threading.Lock)

    graph = recorded.compile(recorded.graph([node(recorded, "pay", pay)]))
    with pytest.raises(ValueCodecError) as refused:
        recorded.run(graph, {"n": 1})
    assert "What step 'charge' of 'pay' returned is not recorded" in refused.value.__notes__


def test_the_same_name_in_a_loop_is_another_step_each_time(recorded, receiver) -> None:
    async def pay(state, do):
        receipts = [await do("charge", receiver.charge, amount) for amount in (1, 1, 2)]
        return {"log": [*receipts, interrupt("fine?")]}

    graph = recorded.compile(recorded.graph([node(recorded, "pay", pay)]))
    recorded.run(graph, {"n": 1})
    assert recorded.run(graph, Command(resume="yes"))["log"] == ["receipt 1", "receipt 2", "receipt 3", "yes"]
    assert receiver.calls == [1, 1, 2]
    assert len({*receiver.keys}) == 3


def test_every_run_and_every_node_has_keys_of_its_own(recorded, receiver) -> None:
    async def pay(state, do):
        await do("charge", receiver.charge, 1)
        return {"n": state["n"] + 1}

    nodes = [node(recorded, name, pay) for name in ("first", "second")]
    graph = recorded.compile(recorded.graph(nodes))
    recorded.run(graph, {"n": 1})
    recorded.run(graph, {"n": 1})
    recorded.run(graph, {"n": 1}, recorded.config("other"))
    assert len(receiver.calls) == len({*receiver.keys}) == 6


def test_a_node_that_runs_again_in_a_loop_has_other_steps(recorded, receiver) -> None:
    async def pay(state, do):
        await do("charge", receiver.charge, state["n"])
        return {"n": state["n"] + 1}

    builder = recorded.graph([node(recorded, "pay", pay)])
    builder.add_conditional_edges("pay", lambda state: "pay" if state["n"] < 4 else "__end__")
    recorded.run(recorded.compile(builder), {"n": 1})
    assert receiver.calls == [1, 2, 3]
    assert len({*receiver.keys}) == 3


def test_going_back_to_an_old_checkpoint_does_everything_anew(recorded, receiver) -> None:
    async def pay(state, do):
        return {"log": [await do("charge", receiver.charge, 1)]}

    graph = recorded.compile(recorded.graph([node(recorded, "pay", pay)]))
    recorded.run(graph, {"n": 1})
    before = next(state for state in recorded.history(graph) if state.next == ("pay",))
    recorded.run(graph, None, before.config)
    assert receiver.calls == [1, 1]
    assert len({*receiver.keys}) == 2


# -- on disk ----


def records(world):
    """Types of what is in the log now, as another reader of it sees it."""
    return [record.type for record in world.saver.log.read("run-t")]


def test_with_sync_a_step_is_on_disk_before_the_node_goes_on(recorded) -> None:
    seen = []

    async def pay(state, do):
        for _ in range(3):
            await do("charge", lambda: 1)
            seen.append(records(recorded).count("TaskCompleted"))
        return {"n": 1}

    graph = recorded.compile(recorded.graph([node(recorded, "pay", pay)]))
    recorded.run(graph, {"n": 1}, durability="sync")
    assert seen == [1, 2, 3]


def test_with_async_a_step_is_on_disk_before_the_next_one_begins(recorded) -> None:
    seen = []

    async def pay(state, do):
        for _ in range(3):
            await do("charge", lambda: seen.append(records(recorded)[1:]))
        return {"n": state["n"] + 1}

    nodes = [node(recorded, name, pay) for name in ("a", "b")]
    graph = recorded.compile(recorded.graph(nodes))
    recorded.run(graph, {"n": 1}, durability="async")
    first = [["StepCompleted", *["TaskCompleted"] * done] for done in range(3)]
    assert seen == [*first, *([*first[2], "TaskCompleted", *more] for more in first)]


@pytest.mark.feature("PERSIST-000")
@pytest.mark.guarantee("sync-repeats-nothing-recorded")
def test_with_sync_what_a_task_came_to_is_on_disk_before_what_follows_it_starts(recorded) -> None:
    seen = []

    def looks(name):
        def run(state):
            seen.append((name, sorted({*records(recorded)})))
            return {"log": [name]}

        return name, run

    nodes = [looks(name) for name in ("a", "b", "c", "after")]
    edges = [*(("__start__", name) for name in "abc"), *((name, "after") for name in "abc")]
    graph = recorded.compile(recorded.graph(nodes, edges))
    recorded.run(graph, {"n": 1}, durability="sync")
    assert seen[-1] == ("after", ["RunStarted", "StepCompleted", "TaskCompleted"])
    assert records(recorded) == [
        "RunStarted", "StepCompleted", *["TaskCompleted"] * 3, "StepCompleted", "StepCompleted", "RunFinished"
    ]  # fmt: skip


# -- where ---------------------------------------------------------------------------------------------


def test_steps_of_graphs_inside_are_done_once(recorded, receiver) -> None:
    async def pay(state, do):
        receipt = await do("charge", receiver.charge, 1)
        return {"log": [receipt, interrupt("fine?")]}

    inner = recorded.graph([node(recorded, "pay", pay)]).compile()
    graph = recorded.compile(recorded.graph([("inside", inner)]))
    recorded.run(graph, {"n": 1})
    assert recorded.run(graph, Command(resume="yes"))["log"] == ["receipt 1", "yes"]
    assert receiver.calls == [1]


def test_steps_of_tasks_beside_each_other_are_their_own(recorded, receiver) -> None:
    async def pay(state, do):
        return {"log": [await do("charge", receiver.charge, 1)]}

    async def asks(state, do):
        await do("charge", receiver.charge, 2)
        return {"log": [interrupt("fine?")]}

    nodes = [node(recorded, "a", pay), node(recorded, "b", asks)]
    graph = recorded.compile(recorded.graph(nodes, [("__start__", "a"), ("__start__", "b")]))
    recorded.run(graph, {"n": 1})
    recorded.run(graph, Command(resume="yes"))
    assert sorted(receiver.calls) == [1, 2]
    assert len({*receiver.keys}) == 2


def test_without_a_checkpointer_a_step_is_just_a_call(receiver) -> None:
    from dashflow.graph import StateGraph

    def pay(state):
        return {"n": [step("charge", receiver.charge, 1), step("charge", receiver.charge, 2)]}

    graph = StateGraph(dict).add_node("pay", pay).add_edge("__start__", "pay").compile()
    graph.invoke({})
    graph.invoke({})
    assert receiver.calls == [1, 2, 1, 2]
    assert len({*receiver.keys}) == 4


def test_no_graph_no_step() -> None:
    with pytest.raises(RuntimeError, match="step 'charge' outside"):
        step("charge", print)


def test_a_graph_inside_a_step_does_not_disturb_those_after_it(recorded) -> None:
    ran = []

    def leaf(name):
        def work(state):
            ran.append(name)
            return {"log": [name]}

        builder = recorded.graph([(name, work)])
        return builder.compile()

    first, second = leaf("first"), leaf("second")

    async def outer(state, do):
        loop = recorded.kind == "asyncio"
        one = await do("graph", first.ainvoke if loop else first.invoke, {"n": 0})
        two = await second.ainvoke({"n": 0}) if loop else second.invoke({"n": 0})
        return {"log": [*one["log"], *two["log"], interrupt("fine?")]}

    graph = recorded.compile(recorded.graph([node(recorded, "outer", outer)]))
    recorded.run(graph, {"n": 1})
    assert recorded.run(graph, Command(resume="yes"))["log"] == ["first", "second", "yes"]
    assert ran.count("first") == 1


def test_a_node_and_what_is_not_in_a_step_have_keys_too(recorded) -> None:
    keys = []

    def pay(state):
        keys.append(idempotency_key())
        return {"log": [interrupt("fine?")]}

    graph = recorded.compile(recorded.graph([pay]))
    recorded.run(graph, {"n": 1})
    recorded.run(graph, Command(resume="yes"))
    assert (keys[0] == keys[1], len(keys)) == (True, 2)


# -- another time ---------------------------------------------------------------------------------------


def test_another_step_at_the_same_place_is_refused(recorded, receiver) -> None:
    name = ["charge"]

    async def pay(state, do):
        await do("reserve", receiver.charge, 0)
        receipt = await do(name[0], receiver.charge, 1)
        return {"log": [receipt, interrupt("fine?")]}

    graph = recorded.compile(recorded.graph([node(recorded, "pay", pay)]))
    recorded.run(graph, {"n": 1})
    name[0] = "refund"
    with pytest.raises(NondeterministicStepError) as refused:
        recorded.run(graph, Command(resume="yes"))
    assert (refused.value.node, refused.value.order) == ("pay", 1)
    assert (refused.value.recorded, refused.value.step) == ("charge", "refund")
    assert receiver.calls == [0, 1]
    name[0] = "charge"
    assert recorded.run(graph, None)["log"] == ["receipt 2", "yes"]


def test_other_arguments_than_recorded_are_told(recorded, receiver) -> None:
    amount = [1]

    async def pay(state, do):
        receipt = await do("charge", receiver.charge, amount[0])
        return {"log": [receipt, interrupt("fine?")]}

    graph = recorded.compile(recorded.graph([node(recorded, "pay", pay)]))
    recorded.run(graph, {"n": 1})
    amount[0] = 82_000
    with pytest.warns(ChangedArgumentsWarning, match="'charge' of node 'pay'"):
        done = recorded.run(graph, Command(resume="yes"))
    assert (done["log"], receiver.calls) == (["receipt 1", "yes"], [1])


def test_a_question_after_a_step_that_failed_is_told(recorded) -> None:
    def charge():
        raise TimeoutError

    async def pay(state, do):
        try:
            await do("charge", charge)
        except TimeoutError:
            return {"log": [interrupt("was it paid?")]}

    graph = recorded.compile(recorded.graph([node(recorded, "pay", pay)]))
    with pytest.warns(UnrecordedEffectWarning, match="step 'charge', which failed"):
        recorded.run(graph, {"n": 1})
    assert asked(recorded, graph) == ["was it paid?"]
