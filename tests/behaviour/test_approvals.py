"""Approvals: an answer counts for what was asked, once, and in its time; on every host and backend."""

import threading
from datetime import timedelta

import pytest
from langchain_core.messages import AIMessage
from langchain_core.tools import tool

from dashflow.checkpoint.memory import InMemorySaver
from dashflow.errors import AmbiguousAnswerError, InterruptExpiredError
from dashflow.graph import START, MessagesState, StateGraph
from dashflow.prebuilt import ToolNode
from dashflow.types import Command, interrupt
from dashflow.warnings import ChangedQuestionWarning, LateAnswerWarning

pytestmark = pytest.mark.feature("NEW-09")


class Shop:
    """What a node asks about lies outside of its state, as in code, configuration, or a model's answer."""

    def __init__(self) -> None:
        self.amount = 1
        self.paid = []

    def pay(self, state):
        answer = interrupt({"do": "pay", "amount": self.amount})
        self.paid.append((answer, self.amount))
        return {"log": [answer]}


@pytest.fixture
def shop():
    return Shop()


def asked(world, graph):
    return [question.value for question in world.state(graph).interrupts]


def events(world, kind):
    """Data of all events of a type in the thread."""
    reader = world.saver.reader
    return [reader.event(record, "run-t") for record in world.saver.log.read("run-t") if record.type == kind]


# -- what an answer is bound to ------------------------------------------------------------------------


@pytest.mark.guarantee("answer-bound")
def test_an_approval_of_another_amount_is_not_used_and_asked_for_again(recorded, shop) -> None:
    graph = recorded.compile(recorded.graph([shop.pay]))
    recorded.run(graph, {"n": 1})
    (first,) = recorded.state(graph).interrupts
    shop.amount = 82_000
    with pytest.warns(ChangedQuestionWarning, match="what it asks"):
        recorded.run(graph, Command(resume="yes"))
    assert shop.paid == []
    (second,) = recorded.state(graph).interrupts
    assert second.value == {"do": "pay", "amount": 82_000}
    assert second.id == first.id
    assert events(recorded, "TaskInterrupted")[-1].changed == [first.id]
    assert recorded.run(graph, Command(resume={second.id: "yes, that too"}))["log"] == ["yes, that too"]
    assert shop.paid == [("yes, that too", 82_000)]


def test_the_binding_outlives_the_process(recorded, shop) -> None:
    recorded.run(recorded.compile(recorded.graph([shop.pay])), {"n": 1})
    recorded.reopen()
    shop.amount = 2
    graph = recorded.compile(recorded.graph([shop.pay]))
    with pytest.warns(ChangedQuestionWarning):
        recorded.run(graph, Command(resume="yes"))
    recorded.reopen()
    graph = recorded.compile(recorded.graph([shop.pay]))
    assert asked(recorded, graph) == [{"do": "pay", "amount": 2}]
    assert recorded.run(graph, Command(resume="yes"))["log"] == ["yes"]


def test_an_earlier_answer_of_the_node_is_checked_each_time(recorded) -> None:
    first = ["ship to Rome?"]

    def order(state):
        return {"log": [interrupt(first[0]), interrupt("pay?")]}

    graph = recorded.compile(recorded.graph([order]))
    recorded.run(graph, {"n": 1})
    recorded.run(graph, Command(resume="Rome"))
    first[0] = "ship to Oslo?"
    with pytest.warns(ChangedQuestionWarning):
        recorded.run(graph, Command(resume="paid"))
    assert asked(recorded, graph) == ["ship to Oslo?"]
    assert recorded.run(graph, Command(resume="Oslo"))["log"] == ["Oslo", "paid"]


@pytest.mark.guarantee("answer-bound")
def test_an_answer_to_another_function_is_not_used(recorded) -> None:
    def first(state):
        return {"log": [interrupt("sure?")]}

    def second(state):
        return {"log": [interrupt("sure?")]}

    recorded.run(recorded.compile(recorded.graph([("node", first)])), {"n": 1})
    graph = recorded.compile(recorded.graph([("node", second)]))
    with pytest.warns(ChangedQuestionWarning, match="the place that asks"):
        recorded.run(graph, Command(resume="yes"))
    assert asked(recorded, graph) == ["sure?"]
    assert recorded.run(graph, Command(resume="yes"))["log"] == ["yes"]


def test_in_a_graph_inside_an_answer_is_bound_as_well(recorded, shop) -> None:
    inner = recorded.graph([shop.pay]).compile()
    graph = recorded.compile(recorded.graph([("inside", inner)]))
    recorded.run(graph, {"n": 1})
    shop.amount = 2
    with pytest.warns(ChangedQuestionWarning):
        recorded.run(graph, Command(resume="yes"))
    assert (asked(recorded, graph), shop.paid) == ([{"do": "pay", "amount": 2}], [])
    assert recorded.run(graph, Command(resume="yes"))["log"] == ["yes"]


def test_what_an_answer_is_bound_to_can_be_said(recorded) -> None:
    seen, amount = iter("abcdef"), [1]

    def pay(state):
        question = {"amount": amount[0], "shown at": next(seen)}
        return {"log": [interrupt(question, bound_to=amount[0]), interrupt(next(seen), bound_to=None)]}

    graph = recorded.compile(recorded.graph([pay]))
    recorded.run(graph, {"n": 1})
    amount[0] = 2
    with pytest.warns(ChangedQuestionWarning):
        recorded.run(graph, Command(resume="yes"))
    recorded.run(graph, Command(resume="yes"))
    assert recorded.run(graph, Command(resume="whatever"))["log"] == ["yes", "whatever"]


def test_the_order_of_keys_is_no_difference(recorded) -> None:
    order = [["a", "b"]]

    def pay(state):
        return {"log": [interrupt({"deep": [dict.fromkeys(order[0], 1)]})]}

    graph = recorded.compile(recorded.graph([pay]))
    recorded.run(graph, {"n": 1})
    order[0] = ["b", "a"]
    assert recorded.run(graph, Command(resume="yes"))["log"] == ["yes"]


def test_who_answers_and_changes_the_state_at_once_has_changed_what_is_asked(recorded) -> None:
    def pay(state):
        return {"log": [interrupt({"amount": state["n"]}), interrupt("sure?")]}

    graph = recorded.compile(recorded.graph([pay]))
    recorded.run(graph, {"n": 1})
    recorded.run(graph, Command(resume="yes, but less", update={"n": 0}))
    assert asked(recorded, graph) == ["sure?"]
    assert recorded.run(graph, Command(resume="yes"))["log"] == ["yes, but less", "yes"]


def test_an_answer_at_an_old_checkpoint_is_bound_to_what_was_asked_there(recorded, shop) -> None:
    graph = recorded.compile(recorded.graph([shop.pay]))
    recorded.run(graph, {"n": 1})
    recorded.run(graph, Command(resume="yes"))
    before = next(state for state in recorded.history(graph) if state.next == ("pay",))
    recorded.run(graph, Command(resume="once more"), before.config)
    assert shop.paid == [("yes", 1), ("once more", 1)]
    shop.amount = 2
    with pytest.warns(ChangedQuestionWarning):
        recorded.run(graph, Command(resume="no"), before.config)
    assert asked(recorded, graph) == [{"do": "pay", "amount": 2}]
    assert recorded.run(graph, Command(resume="no"))["log"] == ["no"]
    assert shop.paid == [("yes", 1), ("once more", 1), ("no", 2)]


# -- several questions ---------------------------------------------------------------------------------


def test_all_open_questions_are_shown_and_one_answer_for_several_is_refused(recorded) -> None:
    def asks(name):
        return name, lambda state: {"log": [f"{name}: {interrupt(name)}"]}

    nodes = [asks("a"), asks("b")]
    graph = recorded.compile(recorded.graph(nodes, [(START, "a"), (START, "b")]))
    recorded.run(graph, {"n": 1})
    ids = {question.value: question.id for question in recorded.state(graph).interrupts}
    assert set(ids) == {"a", "b"}
    version = recorded.saver.log.version("run-t")
    with pytest.raises(AmbiguousAnswerError, match="interrupt id") as refused:
        recorded.run(graph, Command(resume="yes"))
    assert isinstance(refused.value, RuntimeError)
    assert set(refused.value.pending_ids) == {*ids.values()}
    assert recorded.saver.log.version("run-t") == version
    recorded.run(graph, Command(resume={ids["b"]: "B"}))
    assert recorded.run(graph, Command(resume={ids["a"]: "A"}))["log"] == ["a: A", "b: B"]


def talk_of(graph, calls):
    return {
        "messages": [
            AIMessage("", tool_calls=[{"name": "pay", "args": {"n": n}, "id": f"#{n}"} for n in calls])
        ]
    }


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_tools_beside_each_other_ask_all_at_once_and_get_their_own_answers(asynchronous) -> None:
    """Whichever tool comes first this time."""
    first, turn = [3], threading.Event()

    @tool
    def pay(n: int) -> str:
        """Pay."""
        if n != first[0]:
            assert turn.wait(30)
        try:
            return f"{n}: {interrupt(f'{n}?')}, {interrupt(f'{n}, really?')}"
        finally:
            turn.set()

    builder = StateGraph(MessagesState).add_node("tools", ToolNode([pay])).add_edge(START, "tools")
    graph = builder.compile(checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "t"}}
    given = talk_of(graph, (1, 2, 3))
    for first[0] in (3, 1, 2, 3, 1):
        turn.clear()
        done = await graph.ainvoke(given, config) if asynchronous else graph.invoke(given, config)
        questions = {one.value: one.id for one in graph.get_state(config).interrupts}
        if not questions:
            break
        some = sorted(questions)[1:] or list(questions)
        given = Command(resume={questions[value]: f"yes to {value}" for value in some})
    answers = [message.content for message in done["messages"][1:]]
    assert answers == [f"{n}: yes to {n}?, yes to {n}, really?" for n in (1, 2, 3)]


# -- time ------------------------------------------------------------------------------------------------


def waits(seconds, **more):
    def pay(state):
        return {"log": [interrupt("pay?", expires=seconds, **more)]}

    return pay


def test_an_answer_in_time_counts(recorded) -> None:
    graph = recorded.compile(recorded.graph([waits(timedelta(hours=1), default="no")]))
    recorded.run(graph, {"n": 1})
    assert recorded.run(graph, Command(resume="yes"))["log"] == ["yes"]


@pytest.mark.guarantee("answer-in-time")
def test_a_late_answer_is_refused_and_the_question_can_be_asked_again(recorded) -> None:
    graph = recorded.compile(recorded.graph([waits(0)]))
    recorded.run(graph, {"n": 1})
    (question,) = recorded.state(graph).interrupts
    version = recorded.saver.log.version("run-t")
    for answer in ("yes", {question.id: "yes"}):
        with pytest.raises(InterruptExpiredError) as refused:
            recorded.run(graph, Command(resume=answer))
        assert refused.value.interrupt_ids == (question.id,)
        assert refused.value.data["thread"] == "t"
    assert recorded.saver.log.version("run-t") == version
    graph = recorded.compile(recorded.graph([("pay", waits(60))]))
    recorded.run(graph, None)
    assert recorded.run(graph, Command(resume="yes"))["log"] == ["yes"]


def test_a_question_that_is_asked_again_keeps_its_time(recorded) -> None:
    graph = recorded.compile(recorded.graph([waits(60)]))
    recorded.run(graph, {"n": 1})
    recorded.run(graph, None)
    ends = {event.questions[0].expires for event in events(recorded, "TaskInterrupted")}
    assert len(ends) == 1


@pytest.mark.guarantee("answer-in-time")
def test_after_its_time_a_question_has_its_default(recorded) -> None:
    graph = recorded.compile(recorded.graph([waits(0, default="no")]))
    recorded.run(graph, {"n": 1})
    assert recorded.run(graph, None)["log"] == ["no"]
    recorded.run(graph, {"n": 1}, recorded.config("other"))
    with pytest.warns(LateAnswerWarning):
        done = recorded.run(graph, Command(resume="yes"), recorded.config("other"))
    assert done["log"] == ["no"]


def test_a_default_needs_a_time() -> None:
    with pytest.raises(ValueError, match="expires"):
        interrupt("pay?", default="no")
