"""Questions to people: asked, answered one by one or by id, in parallel, in graphs inside graphs, refused."""

import operator
from typing import Annotated, Any, TypedDict

import pytest
from pydantic import BaseModel, ValidationError

from dashflow.errors import EmptyInputError, is_invalid_resume
from dashflow.graph import END, START
from dashflow.types import Command, RetryPolicy, Send, interrupt

pytestmark = pytest.mark.feature("HIL-001")


def asks(name, *questions):
    """A node that asks, and writes what it was told."""
    return name, lambda state: {"log": [f"{name}:{interrupt(question)}" for question in questions]}


def ids(world, graph, config=None):
    """Open questions by what they ask."""
    return {question.value: question.id for question in world.state(graph, config).interrupts}


# -- one after the other -----------------------------------------------------------------------------


def test_a_run_stops_at_a_question_and_goes_on_with_the_answer(recorded) -> None:
    graph = recorded.compile(recorded.graph([recorded.says("a"), asks("q", "ok?"), recorded.says("z")]))
    stopped = recorded.run(graph, {"n": 1})
    assert [question.value for question in stopped.pop("__interrupt__")] == ["ok?"]
    assert stopped == {"n": 1, "log": ["a"]}
    state = recorded.state(graph)
    assert (state.next, [question.value for question in state.interrupts]) == (("q",), ["ok?"])
    assert recorded.run(graph, Command(resume="yes")) == {"n": 1, "log": ["a", "q:yes", "z"]}
    assert recorded.state(graph).interrupts == ()


@pytest.mark.feature("PERSIST-000")
def test_an_answer_may_come_after_a_restart(recorded) -> None:
    def build():
        return recorded.compile(recorded.graph([asks("q", "1", "2"), recorded.says("z")]))

    recorded.run(build(), {"n": 1})
    recorded.reopen()
    assert "__interrupt__" in recorded.run(build(), Command(resume="A"))
    recorded.reopen()
    assert recorded.run(build(), Command(resume="B"))["log"] == ["q:A", "q:B", "z"]


def test_several_questions_of_one_node_are_asked_one_by_one_under_ids_of_their_own(recorded) -> None:
    graph = recorded.compile(recorded.graph([asks("q", "1", "2", "3")]))
    recorded.run(graph, {"n": 1})
    seen = []
    for answer in ("a", "b", "c"):
        (question,) = recorded.state(graph).interrupts
        seen.append((question.value, question.id))
        result = recorded.run(graph, Command(resume=answer))
    assert [value for value, _ in seen] == ["1", "2", "3"]
    assert len({identifier for _, identifier in seen}) == 3
    assert result["log"] == ["q:a", "q:b", "q:c"]


def test_the_id_of_a_nodes_first_question_also_answers_its_later_ones(recorded) -> None:
    graph = recorded.compile(recorded.graph([asks("q", "1", "2")]))
    recorded.run(graph, {"n": 1})
    first = ids(recorded, graph)["1"]
    recorded.run(graph, Command(resume={first: "a"}))
    assert ids(recorded, graph)["2"] != first
    assert recorded.run(graph, Command(resume={first: "b"}))["log"] == ["q:a", "q:b"]


@pytest.mark.parametrize("answer", [0, "", False, [], None, {"a": 1}, ("t", [1]), {"0" * 31: 1}], ids=repr)
def test_any_value_is_an_answer(recorded, answer) -> None:
    graph = recorded.compile(recorded.graph([asks("q", "?")]))
    recorded.run(graph, {"n": 1})
    if answer is None:
        with pytest.raises(EmptyInputError, match="empty Command"):
            recorded.run(graph, Command(resume=None))
        return
    assert recorded.run(graph, Command(resume=answer))["log"] == [f"q:{answer}"]


def test_a_mapping_of_no_ids_answers_nothing(recorded) -> None:
    graph = recorded.compile(recorded.graph([asks("q", "?")]))
    recorded.run(graph, {"n": 1})
    assert "__interrupt__" in recorded.run(graph, Command(resume={}))
    assert "__interrupt__" in recorded.run(graph, Command(resume={"0" * 32: "for nobody"}))
    assert recorded.run(graph, Command(resume="x"))["log"] == ["q:x"]


def test_a_loop_asks_again_and_again(recorded) -> None:
    builder = recorded.graph([("q", lambda s: {"log": [interrupt("more?")]})])
    builder.add_conditional_edges("q", recorded.node(lambda s: END if s["log"][-1] == "stop" else "q"))
    graph = recorded.compile(builder)
    recorded.run(graph, {"n": 1})
    for answer in ("a", "b", "stop"):
        result = recorded.run(graph, Command(resume=answer))
    assert result == {"n": 1, "log": ["a", "b", "stop"]}


# -- in parallel ----------------------------------------------------------------------------------------


def parallel(world):
    nodes = [asks("p", "P"), asks("q", "Q"), world.says("k"), world.says("z")]
    edges = [(START, "p"), (START, "q"), (START, "k"), (["p", "q", "k"], "z")]
    return world.compile(world.graph(nodes, edges))


def test_questions_asked_in_parallel_are_answered_by_id_in_any_order(recorded) -> None:
    graph = parallel(recorded)
    recorded.run(graph, {"n": 1})
    state = recorded.state(graph)
    assert (state.next, state.values["log"]) == (("p", "q"), ["k"])
    recorded.run(graph, Command(resume={ids(recorded, graph)["Q"]: "late"}))
    assert set(ids(recorded, graph)) == {"P"}
    assert recorded.run(graph, Command(resume="early"))["log"] == ["k", "p:early", "q:late", "z"]


def test_questions_asked_in_parallel_are_answered_at_once(recorded) -> None:
    graph = parallel(recorded)
    recorded.run(graph, {"n": 1})
    open_ = ids(recorded, graph)
    answers = {open_["Q"]: "two", open_["P"]: "one", "0" * 32: "for nobody"}
    assert recorded.run(graph, Command(resume=answers))["log"] == ["k", "p:one", "q:two", "z"]


def test_one_answer_for_several_questions_is_refused_and_nothing_is_lost(recorded) -> None:
    graph = parallel(recorded)
    recorded.run(graph, {"n": 1})
    with pytest.raises(RuntimeError, match="multiple pending interrupts"):
        recorded.run(graph, Command(resume="which?"))
    assert set(ids(recorded, graph)) == {"P", "Q"}


def test_what_finished_beside_a_question_does_not_run_again(recorded) -> None:
    ran = []
    nodes = [asks("p", "P"), ("k", lambda s: ran.append("k") or {"log": ["k"]})]
    graph = recorded.compile(recorded.graph(nodes, [(START, "p"), (START, "k")]))
    recorded.run(graph, {"n": 1})
    recorded.reopen()
    graph = recorded.compile(recorded.graph(nodes, [(START, "p"), (START, "k")]))
    assert recorded.run(graph, Command(resume="x"))["log"] == ["k", "p:x"]
    assert ran == ["k"]


def test_questions_of_work_that_was_sent(recorded) -> None:
    def work(state: Any) -> Any:
        number = state["i"]
        return {"log": [(number, interrupt(number) if number % 2 else "silent")]}

    builder = recorded.graph([("work", work)], [])
    builder.add_conditional_edges(START, lambda s: [Send("work", {"i": i}) for i in range(4)])
    graph = recorded.compile(builder)
    recorded.run(graph, {"n": 1})
    answers = {identifier: f"A{value}" for value, identifier in ids(recorded, graph).items()}
    result = recorded.run(graph, Command(resume=answers))
    assert result["log"] == [(0, "silent"), (1, "A1"), (2, "silent"), (3, "A3")]


# -- beside other things --------------------------------------------------------------------------------


def test_an_answer_with_an_update(recorded) -> None:
    graph = recorded.compile(recorded.graph([asks("q", "?"), recorded.says("z")]))
    recorded.run(graph, {"n": 1})
    assert recorded.run(graph, Command(resume="x", update={"n": 7, "log": ["u"]})) == {
        "n": 7,
        "log": ["u", "q:x", "z"],
    }


def test_an_update_in_between_leaves_the_question_open(recorded) -> None:
    graph = recorded.compile(recorded.graph([asks("q", "?")]))
    recorded.run(graph, {"n": 1})
    assert "__interrupt__" in recorded.run(graph, Command(update={"n": 7}))
    assert recorded.run(graph, Command(resume="x")) == {"n": 7, "log": ["q:x"]}


def test_going_on_without_an_answer_asks_again_under_the_same_id(recorded) -> None:
    graph = recorded.compile(recorded.graph([asks("q", "?")]))
    recorded.run(graph, {"n": 1})
    before = ids(recorded, graph)
    recorded.run(graph, None)
    assert ids(recorded, graph) == before


def test_an_answer_is_kept_over_a_failure_after_it(recorded) -> None:
    broken = [True]

    def node(state: Any) -> Any:
        answer = interrupt("?")
        if broken[0]:
            raise ValueError("after it")
        return {"log": [answer]}

    graph = recorded.compile(recorded.graph([("q", node)]))
    recorded.run(graph, {"n": 1})
    with pytest.raises(ValueError, match="after it"):
        recorded.run(graph, Command(resume="kept"))
    broken[0] = False
    recorded.reopen()
    graph = recorded.compile(recorded.graph([("q", node)]))
    assert recorded.run(graph, None)["log"] == ["kept"]


def test_an_answer_when_nothing_was_asked_goes_to_who_asks_first(recorded) -> None:
    graph = recorded.compile(recorded.graph([recorded.says("a"), asks("q", "?")]), interrupt_before=["q"])
    recorded.run(graph, {"n": 1})
    assert recorded.run(graph, Command(resume="early"))["log"] == ["a", "q:early"]


def test_an_answer_at_an_old_checkpoint_counts_after_a_failure_too(recorded) -> None:
    """The thread went on with another answer before; who finishes the later run takes the later one."""
    failing = []

    def ask(state: Any) -> Any:
        first, second = interrupt("1"), interrupt("2")
        if failing:
            raise OSError("away")
        return {"log": [first, second]}

    def build() -> Any:
        # Beside another node, so that results of single tasks are recorded.
        nodes = [("q", ask), recorded.says("b")]
        return recorded.compile(recorded.graph(nodes, [(START, "q"), (START, "b")]))

    graph = build()
    recorded.run(graph, {"n": 1})
    recorded.run(graph, Command(resume="A"))
    old = recorded.state(graph).config
    assert recorded.run(graph, Command(resume="B"))["log"] == ["b", "A", "B"]
    failing.append(True)
    with pytest.raises(OSError, match="away"):
        recorded.run(graph, Command(resume="C"), old)
    failing.clear()
    recorded.reopen()
    assert recorded.run(build(), None)["log"] == ["b", "A", "C"]


def test_an_attempt_that_is_repeated_gets_the_same_answers(recorded) -> None:
    attempts = []

    def node(state: Any) -> Any:
        answer = interrupt("?")
        attempts.append(answer)
        if len(attempts) < 3:
            raise ConnectionError("once more")
        return {"log": [answer]}

    policy = RetryPolicy(max_attempts=5, initial_interval=0.001, jitter=False)
    builder = recorded.graph([], [(START, "q")])
    builder.add_node("q", recorded.node(node), retry_policy=policy)
    graph = recorded.compile(builder)
    recorded.run(graph, {"n": 1})
    assert recorded.run(graph, Command(resume="x"))["log"] == ["x"]
    assert attempts == ["x"] * 3


def test_an_answer_that_does_not_fit_leaves_the_question_open(recorded) -> None:
    class Decision(BaseModel):
        approved: bool

    done = []
    nodes = [
        ("q", lambda s: {"log": [interrupt("ok?", response_schema=Decision).approved]}),
        ("k", lambda s: done.append("k") or {"log": ["k"]}),
    ]
    graph = recorded.compile(recorded.graph(nodes, [(START, "q"), (START, "k")]))
    (question,) = recorded.run(graph, {"n": 1})["__interrupt__"]
    assert question.response_schema["properties"]["approved"]["type"] == "boolean"
    for wrong in ({"approved": "perhaps"}, "nonsense"):
        with pytest.raises(ValidationError) as caught:
            recorded.run(graph, Command(resume=wrong))
        assert is_invalid_resume(caught.value)
        assert ids(recorded, graph) == {"ok?": question.id}
    assert recorded.run(graph, Command(resume={"approved": True}))["log"] == ["k", True]
    assert done == ["k"]


def test_without_a_saver_a_question_ends_the_run(world) -> None:
    if world.saver is not None:
        return
    graph = world.compile(world.graph([world.says("a"), asks("q", "?"), world.says("z")]))
    result = world.run(graph, {"n": 1})
    assert (result["log"], [question.value for question in result["__interrupt__"]]) == (["a"], ["?"])
    with pytest.raises(RuntimeError, match="without checkpointer"):
        world.run(graph, Command(resume="x"))


def test_a_question_in_a_state_without_keys(recorded) -> None:
    builder = recorded.graph([("q", lambda s: [interrupt("?")])], schema=Annotated[list, operator.add])
    graph = recorded.compile(builder)
    assert [question.value for question in recorded.run(graph, ["x"])["__interrupt__"]] == ["?"]
    assert recorded.run(graph, Command(resume="y")) == ["x", "y"]


# -- in the past ------------------------------------------------------------------------------------------


@pytest.mark.feature("RUN-13")
def test_a_question_of_the_past_is_asked_again_on_a_branch(recorded) -> None:
    graph = recorded.compile(recorded.graph([recorded.says("a"), asks("q", "?"), recorded.says("z")]))
    recorded.run(graph, {"n": 1})
    recorded.run(graph, Command(resume="first"))
    asked = next(h for h in recorded.history(graph) if h.next == ("q",))
    assert "__interrupt__" in recorded.run(graph, None, asked.config)
    assert recorded.run(graph, Command(resume="second"))["log"] == ["a", "q:second", "z"]


@pytest.mark.feature("RUN-13")
def test_a_question_of_the_past_is_answered_differently(recorded) -> None:
    graph = recorded.compile(recorded.graph([asks("q", "1", "2"), recorded.says("z")]))
    recorded.run(graph, {"n": 1})
    recorded.run(graph, Command(resume="A"))
    recorded.run(graph, Command(resume="B"))
    asked = next(h for h in recorded.history(graph) if h.next == ("q",))
    assert [question.value for question in asked.interrupts] == ["2"]
    assert recorded.run(graph, Command(resume="C"), asked.config)["log"] == ["q:A", "q:C", "z"]


def test_an_edit_of_an_open_question_skips_or_repeats_it(recorded) -> None:
    graph = recorded.compile(recorded.graph([recorded.says("a"), asks("q", "?"), recorded.says("z")]))
    recorded.run(graph, {"n": 1})
    recorded.update(graph, recorded.config(), {"log": ["by hand"]}, as_node="q")
    assert recorded.run(graph, None)["log"] == ["a", "by hand", "z"]
    recorded.run(graph, {"n": 1}, recorded.config("2"))
    recorded.update(graph, recorded.config("2"), {"n": 2})
    assert "__interrupt__" in recorded.run(graph, None, recorded.config("2"))
    assert recorded.run(graph, Command(resume="x"), recorded.config("2"))["log"] == ["a", "q:x", "z"]


# -- in graphs inside graphs ------------------------------------------------------------------------


def test_a_question_inside_a_graph_inside_a_graph(recorded) -> None:
    inner = recorded.graph([recorded.says("x"), asks("q", "?"), recorded.says("y")]).compile()
    middle = recorded.graph([("inner", inner)]).compile()
    graph = recorded.compile(recorded.graph([("middle", middle), recorded.says("z")]))
    assert [question.value for question in recorded.run(graph, {"n": 1})["__interrupt__"]] == ["?"]
    recorded.reopen()
    graph = recorded.compile(recorded.graph([("middle", middle), recorded.says("z")]))
    assert recorded.run(graph, Command(resume="yes"))["log"] == ["x", "q:yes", "y", "z"]


@pytest.mark.parametrize("first", ["P", "Q"])
def test_questions_asked_in_parallel_inside_a_graph_get_their_own_answers(recorded, first) -> None:
    inner = recorded.graph([asks("p", "P"), asks("q", "Q")], [(START, "p"), (START, "q")]).compile()
    graph = recorded.compile(recorded.graph([("inner", inner)]))
    recorded.run(graph, {"n": 1})
    recorded.run(graph, Command(resume={ids(recorded, graph)[first]: f"for {first}"}))
    (second,) = ids(recorded, graph)
    result = recorded.run(graph, Command(resume={ids(recorded, graph)[second]: f"for {second}"}))
    assert result["log"] == ["p:for P", "q:for Q"]


def test_a_graph_that_is_called_twice_by_one_node_asks_twice(recorded) -> None:
    class Inner(TypedDict, total=False):
        answer: Any

    inner = recorded.graph([("q", lambda s: {"answer": interrupt("?")})], schema=Inner).compile()

    def twice(state: Any) -> Any:
        return {"log": [inner.invoke({})["answer"], inner.invoke({})["answer"]]}

    async def twice_awaited(state: Any) -> Any:
        return {"log": [(await inner.ainvoke({}))["answer"], (await inner.ainvoke({}))["answer"]]}

    node = twice_awaited if recorded.kind == "asyncio" else twice
    graph = recorded.compile(recorded.graph([("twice", node)]))
    recorded.run(graph, {"n": 1})
    recorded.run(graph, Command(resume="one"))
    assert recorded.run(graph, Command(resume="two"))["log"] == ["one", "two"]
