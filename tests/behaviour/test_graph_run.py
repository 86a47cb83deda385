"""Graphs of all shapes run to their end with LangGraph's results, on every host and with every saver."""

import operator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypedDict

import pytest
from pydantic import BaseModel, Field

from dashflow.errors import EmptyInputError, GraphRecursionError, InvalidUpdateError, ParentCommand
from dashflow.graph import END, START, StateGraph
from dashflow.managed import IsLastStep, RemainingSteps
from dashflow.types import Command, Overwrite, Send

# -- shapes ----------------------------------------------------------------------------------------


def test_a_chain(world) -> None:
    graph = world.compile(world.graph([world.says("a"), world.says("b"), world.says("c")]))
    assert world.run(graph, {"n": 1}) == {"n": 1, "log": ["a", "b", "c"]}


def test_a_loop(world) -> None:
    builder = world.graph([("a", lambda s: {"n": s["n"] + 1, "log": [s["n"]]})])
    builder.add_conditional_edges("a", lambda s: "a" if s["n"] < 5 else END)
    assert world.run(world.compile(builder), {"n": 0}) == {"n": 5, "log": [0, 1, 2, 3, 4]}


def test_branches_run_in_one_step_and_are_joined_in_the_order_of_their_names(world) -> None:
    nodes = [world.says(name) for name in "acbd"]
    edges = [(START, "a"), ("a", "c"), ("a", "b"), ("b", "d"), ("c", "d")]
    graph = world.compile(world.graph(nodes, edges))
    assert world.run(graph, {"n": 1})["log"] == ["a", "b", "c", "d"]


def test_an_edge_from_several_nodes_waits_for_the_slowest(world) -> None:
    nodes = [world.says(name) for name in "abcde"]
    edges = [(START, "a"), (START, "b"), ("b", "c"), (["a", "c"], "d"), ("d", "e")]
    graph = world.compile(world.graph(nodes, edges))
    assert world.run(graph, {"n": 1})["log"] == ["a", "b", "c", "d", "e"]


def test_a_deferred_node_runs_when_nothing_else_is_left(world) -> None:
    builder = world.graph([world.says("a"), world.says("b"), world.says("c")])
    builder.add_node("z", world.node(world.says("z")[1]), defer=True)
    builder.add_edge("a", "z").add_edge("c", "z")
    assert world.run(world.compile(builder), {"n": 1})["log"] == ["a", "b", "c", "z"]


def test_work_is_sent_to_a_node_several_times_with_inputs_of_its_own(world) -> None:
    builder = world.graph(
        [world.says("split"), ("work", lambda s: {"log": [s["i"] * 10]})], [(START, "split")]
    )
    builder.add_conditional_edges("split", lambda s: [Send("work", {"i": i}) for i in (3, 1, 2)])
    assert world.run(world.compile(builder), {"n": 1})["log"] == ["split", 30, 10, 20]


@pytest.mark.parametrize(
    ("answer", "ends", "log"),
    [
        ("b", None, ["a", "b"]),
        (["b", "c"], None, ["a", "b", "c"]),
        (True, {True: "b", False: "c"}, ["a", "b"]),
        ("c", ["b", "c"], ["a", "c"]),
        ([True, False], {True: "b", False: "c"}, ["a", "b", "c"]),
        (END, None, ["a"]),
        (1, {1: END}, ["a"]),
        ([], None, ["a"]),
        ([END, "b"], None, ["a", "b"]),
        (Send("b", {}), {True: "c"}, ["a", "b"]),
    ],
    ids=str,
)
def test_conditional_edges(world, answer, ends, log) -> None:
    builder = world.graph([world.says(name) for name in "abc"], [(START, "a")])
    builder.add_conditional_edges("a", world.node(lambda state: answer), ends)
    assert world.run(world.compile(builder), {"n": 1})["log"] == log


def test_where_a_conditional_edge_leads_may_be_told_by_its_return_type() -> None:
    def route(state: Any) -> Literal["b", "nowhere"]:
        return "b"

    builder = StateGraph(TypedDict("S", {"n": int})).add_node("a", lambda s: s).add_node("b", lambda s: s)
    builder.add_edge(START, "a").add_conditional_edges("a", route)
    with pytest.raises(ValueError, match="'route' branch found unknown target 'nowhere'"):
        builder.compile()


def test_a_conditional_edge_sees_the_writes_of_its_own_node_only(world) -> None:
    seen: dict[str, Any] = {}

    def look(name: str) -> Any:
        def route(state: dict[str, Any]) -> str:
            seen[name] = (state["n"], list(state["log"]))
            return END

        return route

    nodes = [("a", lambda s: {"n": 5, "log": ["a"]}), ("b", lambda s: {"log": ["b"]})]
    builder = world.graph(nodes, [(START, "a"), (START, "b")])
    builder.add_conditional_edges("a", look("a"))
    builder.add_conditional_edges("b", look("b"))
    world.run(world.compile(builder), {"n": 1})
    assert seen == {"a": (5, ["a"]), "b": (1, ["b"])}


# -- commands --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (Command(update={"n": 2}), {"n": 2, "log": []}),
        (Command(goto="b"), {"n": 1, "log": ["b1"]}),
        (Command(update={"n": 3, "log": ["x"]}, goto=["b", "c"]), {"n": 3, "log": ["x", "b3", "c"]}),
        (Command(goto=[Send("b", {"n": 9}), "c"]), {"n": 1, "log": ["c", "b9"]}),
        (Command(update=[("log", ["p"]), ("log", ["q"])]), {"n": 1, "log": ["p", "q"]}),
        (
            [Command(update={"log": ["1"]}), Command(update={"log": ["2"]}, goto="b")],
            {"n": 1, "log": ["1", "2", "b1"]},
        ),
        ([Command(update={"log": ["1"]}), {"log": ["2"]}], {"n": 1, "log": ["1", "2"]}),
        (Command(goto=END), {"n": 1, "log": []}),
    ],
    ids=str,
)  # fmt: skip
def test_commands(world, command, expected) -> None:
    nodes = [("a", lambda s: command), ("b", lambda s: {"log": [f"b{s['n']}"]}), world.says("c")]
    assert world.run(world.compile(world.graph(nodes, [(START, "a")])), {"n": 1}) == expected


def test_a_command_from_a_graph_inside_a_node_steers_the_graph_around_it(world) -> None:
    inner = world.graph(
        [("x", lambda s: Command(graph=Command.PARENT, goto="z", update={"log": ["from inside"]}))]
    ).compile()
    nodes = [world.says("a"), ("inner", inner), world.says("z")]
    graph = world.compile(world.graph(nodes, [(START, "a"), ("a", "inner")]))
    assert world.run(graph, {"n": 1})["log"] == ["a", "from inside", "z"]


def test_a_graph_is_a_node_of_another(world) -> None:
    inner = world.graph([world.says("x"), world.says("y")]).compile()
    graph = world.compile(world.graph([world.says("a"), ("inner", inner), world.says("z")]))
    assert world.run(graph, {"n": 1})["log"] == ["a", "a", "x", "y", "z"]


# -- state -----------------------------------------------------------------------------------------


def test_reducers_join_what_one_step_writes(world) -> None:
    class Bag(TypedDict, total=False):
        text: Annotated[str, operator.add]
        tags: Annotated[dict[str, int], operator.or_]
        names: Annotated[set[str], operator.or_]
        total: Annotated[int, operator.add]
        most: Annotated[int, lambda a, b: max(a, b)]

    one = ("one", lambda s: {"text": "1", "tags": {"x": 1}, "names": {"p"}, "total": 2, "most": 5})
    two = ("two", lambda s: {"text": "2", "tags": {"y": 2}, "names": {"q"}, "total": 3, "most": 4})
    graph = world.compile(world.graph([one, two], [(START, "one"), (START, "two")], schema=Bag))
    assert world.run(graph, {"text": "0"}) == {
        "text": "012",
        "tags": {"x": 1, "y": 2},
        "names": {"p", "q"},
        "total": 5,
        "most": 5,
    }


def test_overwrite_replaces_what_a_reducer_would_join(world) -> None:
    nodes = [("a", lambda s: {"log": Overwrite(["new"])}), world.says("b")]
    assert world.run(world.compile(world.graph(nodes)), {"log": ["old"]})["log"] == ["new", "b"]


@dataclass
class Record:
    n: int
    log: Annotated[list[str], operator.add] = field(default_factory=list)


class Model(BaseModel):
    n: int
    log: Annotated[list[str], operator.add] = Field(default_factory=list)


@pytest.mark.parametrize("kind", [Record, Model])
def test_state_as_dataclass_or_model(world, kind) -> None:
    def a(state: Any) -> Any:
        return kind(n=state.n + 1, log=[type(state).__name__])

    graph = world.compile(world.graph([a, ("b", lambda s: {"n": s.n * 2})], schema=kind))
    assert world.run(graph, {"n": 1}) == {"n": 4, "log": [kind.__name__]}
    assert world.run(graph, kind(n=3, log=["in"]), world.config("2")) == {
        "n": 8,
        "log": ["in", kind.__name__],
    }


def test_input_output_and_private_schemas(world) -> None:
    class Question(TypedDict):
        question: str

    class Answer(TypedDict):
        answer: str

    class Private(TypedDict):
        secret: str

    class Whole(Question, Answer, total=False):
        pass

    seen = []

    def think(state: Question) -> Any:
        seen.append(dict(state))
        return {"secret": state["question"] + "!"}

    def say(state: Private) -> Any:
        seen.append(dict(state))
        return {"answer": state["secret"] + "?"}

    builder = world.graph([think, say], schema=Whole, input_schema=Question, output_schema=Answer)
    assert world.run(world.compile(builder), {"question": "q", "answer": "not taken"}) == {"answer": "q!?"}
    assert seen == [{"question": "q"}, {"secret": "q!"}]


def test_a_state_without_keys(world) -> None:
    builder = world.graph(
        [("a", lambda s: [len(s)]), ("b", lambda s: ["b"])], schema=Annotated[list, operator.add]
    )
    assert world.run(world.compile(builder), ["x"]) == ["x", 1, "b"]


def test_managed_values_count_the_steps_that_are_left(world) -> None:
    class Counted(TypedDict):
        log: Annotated[list[Any], operator.add]
        last: IsLastStep
        left: RemainingSteps

    builder = world.graph([("a", lambda s: {"log": [(s["last"], s["left"])]})], schema=Counted)
    builder.add_conditional_edges("a", lambda s: END if s["last"] else "a")
    config = world.config(recursion_limit=4)
    assert world.run(world.compile(builder), {"log": []}, config)["log"] == [
        (False, 3),
        (False, 2),
        (True, 1),
    ]


# -- limits and refusals ---------------------------------------------------------------------------


@pytest.mark.parametrize(("limit", "enough"), [(3, False), (4, True), (5, True)])
def test_the_recursion_limit_counts_supersteps_and_the_look_that_finds_no_more(world, limit, enough) -> None:
    graph = world.compile(world.graph([world.says("a"), world.says("b"), world.says("c")]))
    config = world.config(recursion_limit=limit)
    if enough:
        assert world.run(graph, {"n": 1}, config)["log"] == ["a", "b", "c"]
        return
    with pytest.raises(GraphRecursionError, match="Recursion limit of 3 reached"):
        world.run(graph, {"n": 1}, config)


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ({"n": 1, "log": 5}, "can only concatenate list"),
        (5, "Expected dict, got 5"),
        ([Send("a", {})], "Expected dict, got"),
        (Command(goto="nowhere"), "Node 'a' goes to unknown node 'nowhere'"),
        (Command(goto=Send("nowhere", 1)), "sent to 'nowhere'"),
    ],
    ids=str,
)
def test_what_a_node_may_not_return(world, result, words) -> None:
    graph = world.compile(world.graph([("a", lambda s: result)]))
    with pytest.raises((InvalidUpdateError, TypeError), match=words):
        world.run(graph, {"n": 1})


def test_a_command_for_a_graph_around_that_is_not_there_reaches_the_caller(world) -> None:
    graph = world.compile(world.graph([("a", lambda s: Command(graph=Command.PARENT, goto="a"))]))
    with pytest.raises(ParentCommand):
        world.run(graph, {"n": 1})


def test_two_nodes_that_write_one_plain_key_in_one_step(world) -> None:
    nodes = [("a", lambda s: {"n": 1}), ("b", lambda s: {"n": 2})]
    graph = world.compile(world.graph(nodes, [(START, "a"), (START, "b")]))
    with pytest.raises(InvalidUpdateError, match="At key 'n': Can receive only one value per step"):
        world.run(graph, {"n": 0})


@pytest.mark.parametrize("answer", [None, START])
def test_a_conditional_edge_that_decides_for_nothing(world, answer) -> None:
    builder = world.graph([world.says("a")])
    builder.add_conditional_edges("a", lambda s: answer)
    with pytest.raises(ValueError, match="Branch did not return a valid destination"):
        world.run(world.compile(builder), {"n": 1})


def test_a_conditional_edge_to_a_node_that_is_not_there(world) -> None:
    builder = world.graph([world.says("a")])
    builder.add_conditional_edges("a", lambda s: "nowhere")
    with pytest.raises(InvalidUpdateError, match="goes to unknown node 'nowhere'"):
        world.run(world.compile(builder), {"n": 1})


def test_nothing_to_start_from(world) -> None:
    graph = world.compile(world.graph([world.says("a")]))
    with pytest.raises(EmptyInputError, match="Received no input"):
        world.run(graph, None)


def test_a_reducer_that_raises_fails_the_run(world) -> None:
    def refuse(old: Any, new: Any) -> Any:
        raise ValueError("not that")

    class Strict(TypedDict):
        n: int
        x: Annotated[int, refuse]

    graph = world.compile(world.graph([("a", lambda s: {"x": 1})], schema=Strict))
    with pytest.raises(ValueError, match="not that"):
        world.run(graph, {"n": 1})


def test_an_error_says_in_which_task_it_happened(world) -> None:
    def fail(state: Any) -> Any:
        raise KeyError("boom")

    with pytest.raises(KeyError) as caught:
        world.run(world.compile(world.graph([fail])), {"n": 1})
    assert any("During task with name 'fail'" in note for note in caught.value.__notes__)


def test_state_that_its_own_class_refuses_is_reported_with_the_node(world) -> None:
    graph = world.compile(
        world.graph([("a", lambda s: {"n": "no number"}), ("b", lambda s: {})], schema=Model)
    )
    with pytest.raises(ValueError, match="valid integer") as caught:
        world.run(graph, {"n": 1})
    assert any("Before task with name 'b'" in note for note in caught.value.__notes__)
