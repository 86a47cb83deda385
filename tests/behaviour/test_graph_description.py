"""What a compiled graph says of itself: drawings, the graphs inside of it, and schemas."""

import functools
import operator
import typing
import warnings
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NotRequired, Required

import pytest
from langchain_core.runnables import RunnableConfig, RunnableLambda
from pydantic import BaseModel
from typing_extensions import TypedDict

from dashflow.channels import EphemeralValue, LastValue
from dashflow.graph import END, START, StateGraph
from dashflow.managed import IsLastStep
from dashflow.pregel import NodeBuilder, Pregel
from dashflow.pregel.remote import RemoteGraph
from dashflow.pregel.subgraphs import get_function_nonlocals
from dashflow.types import Command
from dashflow.warnings import LangGraphDeprecatedSinceV10


class State(TypedDict, total=False):
    log: Annotated[list[Any], operator.add]


def quiet(state: Any) -> Any:
    return {"log": []}


def edges(drawing: Any) -> set[tuple[str, str, bool, Any]]:
    return {(edge.source, edge.target, edge.conditional, edge.data) for edge in drawing.edges}


def leaf(name: str) -> Any:
    return StateGraph(State).add_node("in", quiet).add_edge(START, "in").compile(name=name)


# -- drawings ---------------------------------------------------------------------------------------


def test_edges_of_every_kind_are_drawn():
    def decide(state: Any) -> Literal["again", "stop"]:
        raise AssertionError("no code of the graph runs to draw it")

    def jump(state: Any) -> Command[Literal["c", "__end__"]]:
        raise AssertionError("no code of the graph runs to draw it")

    builder = StateGraph(State)
    for name in ("a", "b", "c"):
        builder.add_node(name, quiet)
    builder.add_node("jump", jump)
    builder.add_node("later", quiet, defer=True, metadata={"why": "last"})
    builder.add_edge(START, "a").add_edge("a", "b").add_edge(["a", "b"], "c")
    builder.add_conditional_edges("c", decide, {"again": "a", "stop": "jump"})
    builder.add_edge("b", "later")
    drawing = builder.compile(interrupt_before=["a"], interrupt_after=["a", "b"]).get_graph()
    assert edges(drawing) == {
        ("__start__", "a", False, None),
        ("a", "b", False, None),
        ("a", "c", False, None),
        ("b", "c", False, None),
        ("b", "later", False, None),
        ("c", "a", True, "again"),
        ("c", "jump", True, "stop"),
        ("jump", "c", True, None),
        ("jump", "__end__", True, None),
        ("c", "later", True, None),  # it runs in the step after c, which nobody declared
        ("later", "__end__", False, None),
    }
    assert drawing.nodes["a"].metadata == {"__interrupt": "before,after"}
    assert drawing.nodes["b"].metadata == {"__interrupt": "after"}
    assert drawing.nodes["later"].metadata == {"why": "last", "defer": True}
    assert drawing.nodes["c"].metadata is None
    assert [node["id"] for node in drawing.to_json()["nodes"]] == list(drawing.nodes)


def test_a_graph_without_a_declared_way_out_of_a_branch_is_drawn_as_far_as_known():
    builder = StateGraph(State).add_node("a", quiet).add_node("b", quiet).add_edge(START, "a")
    builder.add_conditional_edges("a", lambda state: "b")
    assert edges(builder.compile().get_graph()) == {
        ("__start__", "a", False, None),
        ("a", "__end__", False, None),
    }


def test_a_circle_is_drawn_once():
    builder = StateGraph(State).add_node("a", quiet).add_node("b", quiet)
    builder.add_edge(START, "a").add_edge("a", "b").add_edge("b", "a")
    assert ("b", "a", False, None) in edges(builder.compile().get_graph())


def test_low_level_graphs_are_drawn_with_a_start():
    graph = Pregel(
        nodes={
            "one": NodeBuilder().subscribe_only("input").do(lambda x: x).write_to("between"),
            "two": NodeBuilder().subscribe_only("between").do(lambda x: x).write_to("output"),
        },
        channels={"input": LastValue(int), "between": EphemeralValue(int), "output": LastValue(int)},
        input_channels="input",
        output_channels="output",
    )
    assert edges(graph.get_graph()) == {
        ("__start__", "one", False, None),
        ("one", "two", False, None),
        ("two", "__end__", False, None),
    }


async def test_drawings_show_what_is_inside_as_deep_as_asked():
    middle = StateGraph(State).add_node("leaf", leaf("leaf")).add_node("side", quiet)
    middle.add_edge(START, "leaf").add_edge("leaf", "side")
    outer = StateGraph(State).add_node("middle", middle.compile()).add_edge(START, "middle").compile()
    assert set(outer.get_graph().nodes) == {"__start__", "middle", "__end__"}
    assert set(outer.get_graph(xray=1).nodes) == {"__start__", "middle:leaf", "middle:side", "__end__"}
    deep = {"__start__", "middle:leaf:in", "middle:side", "__end__"}
    assert set(outer.get_graph(xray=True).nodes) == deep
    assert edges(await outer.aget_graph(xray=True)) == edges(outer.get_graph(xray=True))
    assert edges(outer.get_graph(xray=1)) == {
        ("__start__", "middle:leaf", False, None),
        ("middle:leaf", "middle:side", False, None),
        ("middle:side", "__end__", False, None),
    }


def test_drawing_warns_of_no_config_that_is_filled_and_takes_builtins():
    def asks(state, config: "RunnableConfig | None"):
        return state

    builder = StateGraph(dict).add_node("asks", asks).add_node("max", max)
    graph = builder.add_edge(START, "asks").add_edge("asks", "max").compile()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = graph.get_graph()
    assert {(edge.source, edge.target) for edge in drawn.edges} >= {("__start__", "asks"), ("asks", "max")}
    assert graph.invoke({"a": 1, "b": 2}) == "b"


def test_drawing_warns_of_another_config_where_it_is_drawn():
    def wrong(state, config: dict[str, Any]):
        return {}

    with pytest.warns(UserWarning, match="'config' parameter"):
        graph = StateGraph(dict).add_node("wrong", wrong).add_edge(START, "wrong").compile()
    with pytest.warns(UserWarning, match="'config' parameter should be typed as 'RunnableConfig'") as caught:
        graph.get_graph()
    assert caught[0].filename == __file__


def test_drawings_become_mermaid_and_text():
    graph = StateGraph(State).add_node("only", quiet).add_edge(START, "only").compile()
    assert "__start__ --> only;" in graph.get_graph().draw_mermaid()
    assert "only" in graph.get_graph().draw_ascii()


def test_tools_of_a_node_are_named():
    class Tools(RunnableLambda):
        tools_by_name: Any = None

    node = Tools(quiet)
    node.tools_by_name = {"search": 1, "add": 2}
    graph = StateGraph(State).add_node("tools", node).add_edge(START, "tools").compile()
    assert graph.get_graph().nodes["tools"].metadata == {"__tools": ["search", "add"]}


# -- graphs inside ----------------------------------------------------------------------------------

KEPT = leaf("kept")


class Box:
    def __init__(self, inside: Any) -> None:
        self.inside = inside

    @property
    def bad(self) -> Any:
        raise OSError("nobody should have looked")


BOXED = Box(Box(leaf("boxed")))


def _nodes() -> dict[str, tuple[Any, str | None]]:
    inner, box = leaf("inner"), Box(leaf("held"))

    def captured(state: Any) -> Any:
        return inner.invoke(state)

    def named(state: Any) -> Any:
        return KEPT.invoke(state)

    async def awaited(state: Any) -> Any:
        return await KEPT.ainvoke(state)

    def reached(state: Any) -> Any:
        return BOXED.inside.inside.invoke(state)

    def nested(state: Any) -> Any:
        return (lambda: box.inside.invoke(state))()

    def other(state: Any) -> Any:
        return BOXED.inside, box.missing

    def raises(state: Any) -> Any:
        return BOXED.bad, inner

    @functools.wraps(captured)
    def wrapped(state: Any) -> Any:
        return state

    return {
        "itself": (inner, "inner"),
        "captured": (captured, "inner"),
        "named": (named, "kept"),
        "awaited": (awaited, "kept"),
        "reached": (reached, "boxed"),
        "nested": (nested, "held"),
        "wrapped": (wrapped, "inner"),
        "partial": (functools.partial(captured), "inner"),
        "sequence": (RunnableLambda(quiet) | inner, "inner"),
        "lambda": (RunnableLambda(named), "kept"),
        "nothing": (quiet, None),
        "elsewhere": (other, None),
        "raises": (raises, "inner"),
        "unsaved": (StateGraph(State).add_node("a", quiet).add_edge(START, "a").compile(False), None),
        "remote": (RemoteGraph("remote"), "remote"),
    }


@pytest.mark.parametrize("shape", _nodes())
def test_the_graph_in_a_node_is_found_without_running_it(shape):
    node, expected = _nodes()[shape]
    graph = StateGraph(State).add_node("n", node).add_edge(START, "n").compile()
    assert [inner.name for inner in graph.nodes["n"].subgraphs] == ([expected] if expected else [])


def test_functions_without_code_reach_nothing():
    assert get_function_nonlocals(len) == []
    assert get_function_nonlocals(functools.partial(quiet)) == []


async def test_graphs_inside_are_listed_by_namespace():
    middle = StateGraph(State).add_node("leaf", leaf("leaf")).add_edge(START, "leaf").compile(name="middle")
    outer = StateGraph(State).add_node("middle", middle).add_node("other", leaf("other"))
    graph = outer.add_edge(START, "middle").compile()

    def names(**options: Any) -> list[tuple[str, str]]:
        return [(path, inner.name) for path, inner in graph.get_subgraphs(**options)]

    assert names() == [("middle", "middle"), ("other", "other")]
    everything = [("middle", "middle"), ("middle|leaf", "leaf"), ("other", "other")]
    assert names(recurse=True) == everything
    assert names(namespace="other") == [("other", "other")]
    assert names(namespace="middle|leaf", recurse=True) == [("middle|leaf", "leaf")]
    assert names(namespace="middle|leaf") == []
    assert names(namespace="mid", recurse=True) == []
    found = [(path, inner.name) async for path, inner in graph.aget_subgraphs(recurse=True)]
    assert found == everything


# -- schemas ----------------------------------------------------------------------------------------


class Inputs(TypedDict):
    size: int
    unit: NotRequired[str]


@dataclass
class Wide:
    a: int
    b: str = "b"
    c: list[int] = field(default_factory=list)
    d: int | None = None
    last: IsLastStep = False


class Model(BaseModel):
    x: int = 3


class Inner(typing.TypedDict):
    size: int
    unit: NotRequired[str]


class Outer(typing.TypedDict, total=False):
    one: Inner
    many: Required[Annotated[list[Inner], "all"]]
    maybe: Inner | None


def described(kind: Any, **options: Any) -> Any:
    return StateGraph(kind, **options).add_node("a", lambda state: None).add_edge(START, "a").compile()


def test_schemas_of_a_state_follow_its_declaration():
    graph = described(Wide, input_schema=Inputs, output_schema=Model)
    assert graph.get_input_jsonschema() == {
        "properties": {
            "size": {"title": "Size", "type": "integer"},
            "unit": {"title": "Unit", "type": "string"},
        },
        "required": ["size"],
        "title": "Inputs",
        "type": "object",
    }
    assert graph.get_output_jsonschema() == Model.model_json_schema()
    wide = described(Wide).get_input_jsonschema()
    assert wide["title"] == "LangGraphInput"
    assert wide["required"] == ["a"]
    assert {key: value.get("default", "none") for key, value in wide["properties"].items()} == {
        "a": "none",
        "b": "b",
        "c": [],
        "d": None,
    }
    assert described(Annotated[list, operator.add]).get_input_jsonschema()["type"] == "array"


def test_typed_dicts_inside_others_are_in_a_schema_once():
    outer = described(State, context_schema=Outer).get_context_jsonschema()
    inner = {"$ref": "#/$defs/Inner"}
    assert outer["properties"]["one"] == inner
    assert outer["properties"]["many"]["items"] == inner
    assert inner in outer["properties"]["maybe"]["anyOf"]
    assert list(outer["$defs"]) == ["Inner"]
    assert outer["$defs"]["Inner"]["required"] == ["size"]
    assert outer["required"] == ["many"]


def test_models_of_input_and_output_check_values():
    graph = described(Wide, input_schema=Inputs, output_schema=Model)
    assert graph.InputType is Inputs
    assert graph.get_input_schema().model_validate({"size": "4"}).root == {"size": 4}
    assert graph.input_schema.model_json_schema()["title"] == "LangGraphInput"
    assert set(graph.output_schema.model_json_schema()["properties"]) == {"x"}
    low = Pregel(
        nodes={"one": NodeBuilder().subscribe_only("input").write_to("output")},
        channels={"input": LastValue(int), "output": LastValue(str)},
        input_channels=["input"],
        output_channels="output",
    )
    assert low.OutputType is str
    assert low.InputType is None
    assert low.get_input_jsonschema()["properties"] == {
        "input": {"default": None, "title": "Input", "type": "integer"}
    }
    assert low.get_output_jsonschema() == {"title": "LangGraphOutput", "type": "string"}


def test_the_schema_of_the_context():
    assert described(State).get_context_jsonschema() is None
    assert described(State, context_schema=Model).get_context_jsonschema() == Model.model_json_schema()
    assert described(State, context_schema=Inputs).get_context_jsonschema()["title"] == "Inputs"
    assert described(State, context_schema=Wide).get_context_jsonschema()["title"] == "Wide"
    with pytest.raises(ValueError, match="Must be a BaseModel, TypedDict or dataclass"):
        described(State, context_schema=int).get_context_jsonschema()


def test_the_schema_of_the_config_is_deprecated():
    graph = described(State, context_schema=Model)
    with pytest.warns(LangGraphDeprecatedSinceV10, match="`config_schema` is deprecated"):
        fields = graph.config_schema(include=["tags"]).model_fields
    assert set(fields) == {"configurable", "tags"}
    with pytest.warns(LangGraphDeprecatedSinceV10, match="Use `get_context_jsonschema` instead"):
        assert graph.get_config_jsonschema()["properties"].keys() == {"configurable"}


def test_ends_are_named_when_nodes_lead_nowhere():
    builder = StateGraph(State).add_node("a", quiet).add_edge(START, "a").add_edge("a", END)
    assert edges(builder.compile().get_graph()) == {
        ("__start__", "a", False, None),
        ("a", "__end__", False, None),
    }
