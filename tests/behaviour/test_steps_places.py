"""Steps in all places where a graph runs code: tasks, tools, threads, loops, savers of other people."""

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import tool

from dashflow.checkpoint.memory import InMemorySaver
from dashflow.checkpoint.sqlite.aio import AsyncSqliteSaver
from dashflow.errors import AmbiguousStepError
from dashflow.func import astep, entrypoint, idempotency_key, step, task
from dashflow.graph import START, MessagesState, StateGraph, add_messages
from dashflow.prebuilt import ToolNode
from dashflow.types import Command, RetryPolicy, interrupt
from dashflow.warnings import UnrecordedEffectWarning

pytestmark = pytest.mark.feature("NEW-05")

CONFIG = {"configurable": {"thread_id": "t"}}


class State(TypedDict, total=False):
    n: int
    log: list[Any]


class Receiver:
    """Somebody outside, who counts what is done to them."""

    def __init__(self) -> None:
        self.calls = []
        self.keys = []

    def effect(self, what, idempotency_key):
        self.calls.append(what)
        self.keys.append(idempotency_key)
        return f"did {what}"

    async def aeffect(self, what, idempotency_key):
        await asyncio.sleep(0)
        return self.effect(what, idempotency_key)


@pytest.fixture
def receiver():
    return Receiver()


def one_node(node, saver=None, **options):
    builder = StateGraph(State).add_node("node", node, **options).add_edge(START, "node")
    return builder.compile(checkpointer=saver or InMemorySaver())


# -- on a loop ---------------------------------------------------------------------------------------------


async def test_async_functions_are_awaited_and_others_run_on_a_thread(receiver) -> None:
    threads = []

    def blocking():
        threads.append(threading.get_ident())
        return "blocked"

    async def node(state):
        found = [await step("a", receiver.aeffect, "a"), await astep("b", receiver.aeffect, "b")]
        return {"log": [*found, await astep("c", blocking), interrupt("fine?")]}

    graph = one_node(node)
    await graph.ainvoke({"n": 1}, CONFIG)
    done = await graph.ainvoke(Command(resume="yes"), CONFIG)
    assert done["log"] == ["did a", "did b", "blocked", "yes"]
    assert receiver.calls == ["a", "b"]
    assert len(threads) == 1
    assert threads != [threading.get_ident()]


async def test_a_step_never_blocks_a_loop(receiver) -> None:
    async def node(state):
        return {"log": [step("a", receiver.effect, "a")]}

    with pytest.raises(TypeError, match="await astep"):
        await one_node(node).ainvoke({"n": 1}, CONFIG)
    assert receiver.calls == []


def test_an_async_step_needs_a_loop(receiver) -> None:
    with pytest.raises(TypeError, match="ainvoke"):
        one_node(lambda state: step("a", receiver.aeffect, "a")).invoke({"n": 1}, CONFIG)


async def test_a_node_on_a_thread_beside_a_loop_has_steps_on_its_own_thread(receiver) -> None:
    threads = []

    def effect():
        threads.append(threading.get_ident())
        return "done"

    def node(state):
        threads.append(threading.get_ident())
        return {"log": [step("a", effect), step("b", receiver.effect, "b"), interrupt("fine?")]}

    graph = one_node(node)
    await graph.ainvoke({"n": 1}, CONFIG)
    assert threads[0] == threads[1] != threading.get_ident()
    done = await graph.ainvoke(Command(resume="yes"), CONFIG)
    assert (done["log"], receiver.calls) == (["done", "did b", "yes"], ["b"])


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
async def test_gathered_steps_are_told_apart_by_the_order_of_their_calls(receiver, durability) -> None:
    async def node(state):
        found = await asyncio.gather(*(step("a", receiver.aeffect, n) for n in range(4)))
        return {"log": [*found, interrupt("fine?")]}

    graph = one_node(node)
    await graph.ainvoke({"n": 1}, CONFIG, durability=durability)
    done = await graph.ainvoke(Command(resume="yes"), CONFIG, durability=durability)
    assert done["log"] == ["did 0", "did 1", "did 2", "did 3", "yes"]
    assert sorted(receiver.calls) == [0, 1, 2, 3]
    assert len({*receiver.keys}) == 4


async def test_none_of_several_steps_begins_before_what_led_to_them_is_on_disk(receiver, tmp_path) -> None:
    saver = AsyncSqliteSaver(str(tmp_path / "threads.db"))
    seen = []

    async def look():
        seen.append([record.type for record in saver.log.read("run-t")][-1])

    async def first(state):
        return {"log": ["first"]}

    async def second(state):
        await asyncio.gather(*(step("look", look) for _ in range(5)))
        return {"log": ["second"]}

    builder = StateGraph(State).add_node("first", first).add_node("second", second).add_edge(START, "first")
    graph = builder.add_edge("first", "second").compile(checkpointer=saver)
    await graph.ainvoke({"n": 1}, CONFIG)
    saver.log.close()
    assert len(seen) == 5
    assert set(seen) <= {"StepCompleted", "TaskCompleted"}, "the input alone is what led to the first node"
    assert seen[0] == "StepCompleted"


async def test_steps_of_several_tasks_need_names_of_their_own(receiver) -> None:
    named = [False]

    async def one(n):
        name = f"work {n}" if named[0] else "work"
        return [await step(name, receiver.aeffect, n), await step(f"more {n}", receiver.aeffect, -n)]

    async def node(state):
        found = await asyncio.gather(one(1), one(2), return_exceptions=True)
        for error in found:
            if isinstance(error, Exception):
                raise error
        return {"log": [*found, interrupt("fine?")]}

    graph = one_node(node)
    with pytest.raises(AmbiguousStepError, match="'work' of node 'node'"):
        await graph.ainvoke({"n": 1}, CONFIG)
    receiver.calls.clear()
    named[0], config = True, {"configurable": {"thread_id": "u"}}
    await graph.ainvoke({"n": 1}, config)
    done = await graph.ainvoke(Command(resume="yes"), config)
    assert done["log"] == [["did 1", "did -1"], ["did 2", "did -2"], "yes"]
    assert sorted(receiver.calls) == [-2, -1, 1, 2]


async def test_a_step_that_was_cancelled_is_tried_again_under_its_key(receiver) -> None:
    inside = asyncio.Event()

    async def slow(idempotency_key):
        receiver.effect("a", idempotency_key)
        inside.set()
        if len(receiver.calls) == 1:
            await asyncio.Event().wait()
        return "done"

    async def node(state):
        return {"log": [await step("a", slow), await step("b", receiver.aeffect, "b")]}

    graph = one_node(node)
    running = asyncio.create_task(graph.ainvoke({"n": 1}, CONFIG))
    await inside.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await graph.ainvoke(None, CONFIG))["log"] == ["done", "did b"]
    assert receiver.calls == ["a", "a", "b"]
    assert len({*receiver.keys}) == 2


# -- on threads --------------------------------------------------------------------------------------------


def test_steps_on_threads_of_the_node_need_names_of_their_own(receiver) -> None:
    named = [True]

    def node(state):
        def one(n):
            return step(f"work {n}" if named[0] else "work", receiver.effect, n)

        with ThreadPoolExecutor(3) as pool:
            contexts = [contextvars.copy_context() for _ in range(3)]
            found = [pool.submit(context.run, one, n) for n, context in enumerate(contexts)]
        return {"log": [*(future.result() for future in found), interrupt("fine?")]}

    graph = one_node(node)
    graph.invoke({"n": 1}, CONFIG)
    done = graph.invoke(Command(resume="yes"), CONFIG)
    assert done["log"] == ["did 0", "did 1", "did 2", "yes"]
    assert sorted(receiver.calls) == [0, 1, 2]
    named[0] = False
    with pytest.raises(AmbiguousStepError):
        graph.invoke({"n": 1}, {"configurable": {"thread_id": "u"}})


# -- tools -------------------------------------------------------------------------------------------------


class Talk(TypedDict):
    messages: Annotated[list[Any], add_messages]


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_tools_beside_each_other_have_steps_of_their_own(receiver, asynchronous) -> None:
    @tool
    def pay(amount: int) -> str:
        """Pay."""
        return f"{step('charge', receiver.effect, amount)}, {step('mail', receiver.effect, f'mail {amount}')}"

    @tool
    async def apay(amount: int) -> str:
        """Pay."""
        charged = await astep("charge", receiver.effect, amount)
        return f"{charged}, {await astep('mail', receiver.effect, f'mail {amount}')}"

    @tool
    def ask() -> str:
        """Ask."""
        return str(interrupt("fine?"))

    name = "apay" if asynchronous else "pay"
    calls = [{"name": name, "args": {"amount": n}, "id": f"call {n}"} for n in (1, 2, 3)]
    calls.append({"name": "ask", "args": {}, "id": "ask"})

    builder = StateGraph(MessagesState).add_node("tools", ToolNode([pay, apay, ask])).add_edge(START, "tools")
    graph = builder.compile(checkpointer=InMemorySaver())
    talk = {"messages": [AIMessage("", tool_calls=calls)]}
    if asynchronous:
        await graph.ainvoke(talk, CONFIG)
        done = await graph.ainvoke(Command(resume="yes"), CONFIG)
    else:
        graph.invoke(talk, CONFIG)
        done = graph.invoke(Command(resume="yes"), CONFIG)
    answers = [message.content for message in done["messages"] if isinstance(message, ToolMessage)]
    assert answers == [*(f"did {n}, did mail {n}" for n in (1, 2, 3)), "yes"]
    assert sorted(map(str, receiver.calls)) == ["1", "2", "3", "mail 1", "mail 2", "mail 3"]
    assert len({*receiver.keys}) == 6


# -- tasks and entrypoints -----------------------------------------------------------------------------------


def test_entrypoints_and_tasks_have_steps_and_keys(receiver) -> None:
    keys = []

    @task
    def work(n, idempotency_key):
        keys.append((n, idempotency_key))
        done = step("work", receiver.effect, n)
        return done, interrupt(f"{n}?")

    @entrypoint(checkpointer=InMemorySaver())
    def flow(given):
        first = step("first", receiver.effect, given)
        called = [work(n) for n in (1, 2)]
        return [first, *(one.result() for one in called)]

    flow.invoke("start", CONFIG)
    questions = flow.get_state(CONFIG).interrupts
    while questions:
        done = flow.invoke(Command(resume={one.id: f"re {one.value}" for one in questions}), CONFIG)
        questions = flow.get_state(CONFIG).interrupts
    assert done == ["did start", ("did 1", "re 1?"), ("did 2", "re 2?")]
    assert sorted(map(str, receiver.calls)) == ["1", "2", "start"]
    assert len({*receiver.keys}) == 3
    assert len({*keys}) == 2, "a called function has one key, however often it is called again"


def test_a_cancelled_task_is_no_result_and_runs_again() -> None:
    calls = []

    @task
    async def slow(n):
        calls.append(n)
        if len(calls) == 1:
            await asyncio.Event().wait()
        return n

    @entrypoint(checkpointer=InMemorySaver())
    async def flow(given):
        future = slow(given)
        await asyncio.sleep(0)
        if len(calls) <= 1 and not given["again"]:
            future.cancel()
            given["again"] = True
            raise RuntimeError("later")
        return (await future)["n"]

    given = {"n": 1, "again": False}
    with pytest.raises(RuntimeError, match="later"):
        asyncio.run(flow.ainvoke(given, CONFIG))
    given["again"] = True
    assert asyncio.run(flow.ainvoke(None, CONFIG)) == 1


def test_a_question_after_a_task_that_failed_is_told() -> None:
    @task
    def charge():
        raise TimeoutError

    @entrypoint(checkpointer=InMemorySaver())
    def flow(given):
        try:
            charge().result()
        except TimeoutError:
            return interrupt("was it paid?")

    with pytest.warns(UnrecordedEffectWarning, match="task 'charge', which failed"):
        flow.invoke("start", CONFIG)


def test_steps_in_steps_are_done_once_each(receiver) -> None:
    broken = [True]

    def outer():
        inner = step("inner", receiver.effect, "inner")
        if broken:
            broken.clear()
            raise ConnectionError
        return [inner, step("last", receiver.effect, "last")]

    def node(state):
        return {"log": step("outer", outer)}

    policy = RetryPolicy(initial_interval=0, jitter=False)
    assert one_node(node, retry_policy=policy).invoke({"n": 1}, CONFIG)["log"] == ["did inner", "did last"]
    assert receiver.calls == ["inner", "last"]
    assert len({*receiver.keys}) == 2


def test_a_graph_that_a_retried_node_calls_again_has_the_same_keys(receiver) -> None:
    """It begins anew, as what it is called with may be another thing."""
    inner = StateGraph(State).add_node("pay", lambda state: {"log": [step("charge", receiver.effect, 1)]})
    inner = inner.add_edge(START, "pay").compile()
    tries = []

    def node(state):
        found = [inner.invoke({"n": n})["log"] for n in (1, 2)]
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionError
        return {"log": found}

    policy = RetryPolicy(initial_interval=0, jitter=False)
    assert one_node(node, retry_policy=policy).invoke({"n": 1}, CONFIG)["log"][1] == ["did 1"]
    assert len(receiver.keys) == 4
    assert len({*receiver.keys}) == 2
    assert receiver.keys[:2] == receiver.keys[2:]


def test_a_question_in_a_step_stops_it_like_a_task(receiver) -> None:
    def outer():
        return [interrupt("fine?"), receiver.effect("after", idempotency_key())]

    def node(state):
        before = step("before", receiver.effect, "before")
        return {"log": [before, *step("outer", outer), interrupt("really?")]}

    graph = one_node(node)
    graph.invoke({"n": 1}, CONFIG)
    graph.invoke(Command(resume="yes"), CONFIG)
    done = graph.invoke(Command(resume="really"), CONFIG)
    assert done["log"] == ["did before", "yes", "did after", "really"]
    assert receiver.calls == ["before", "after"]


async def test_a_model_in_a_step_streams_as_its_node_does() -> None:
    model = GenericFakeChatModel(messages=iter([AIMessage("two words")] * 2))

    async def node(state):
        said = await step("model", model.ainvoke, "hello")
        return {"log": [said.content, interrupt("fine?")]}

    graph = one_node(node)
    parts = [part async for part in graph.astream({"n": 1}, CONFIG, stream_mode="messages")]
    assert "".join(chunk.content for chunk, _ in parts) == "two words"
    assert {told["langgraph_node"] for _, told in parts} == {"node"}
    done = await graph.ainvoke(Command(resume="yes"), CONFIG)
    assert done["log"] == ["two words", "yes"]


# -- how people see them ------------------------------------------------------------------------------------


def test_a_recorded_step_is_a_pending_write_under_its_own_id(receiver) -> None:
    ids = []

    def charge():
        from dashflow._util.scope import require_scope

        ids.append(require_scope("charge").id)
        return "paid"

    saver = InMemorySaver()
    graph = one_node(lambda state: {"log": [step("charge", charge), interrupt("fine?")]}, saver)
    graph.invoke({"n": 1}, CONFIG)
    writes = {(name, channel): value for name, channel, value in saver.get_tuple(CONFIG).pending_writes}
    assert writes[ids[0], "__return__"] == "paid"
    assert [one.name for one in graph.get_state(CONFIG).tasks] == ["node"]


def test_a_replay_takes_steps_from_the_record(receiver) -> None:
    graph = one_node(lambda state: {"log": [step("charge", receiver.effect, 1), interrupt("fine?")]})
    graph.invoke({"n": 1}, CONFIG)
    graph.invoke(Command(resume="yes"), CONFIG)
    assert receiver.calls == [1]
    replayed = graph.replay(CONFIG, run=True)
    assert (replayed.divergence, receiver.calls) == (None, [1])
