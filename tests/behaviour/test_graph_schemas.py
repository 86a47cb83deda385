"""States declared as TypedDict, dataclass, pydantic model or msgspec Struct, each with the same program."""

import operator
from dataclasses import dataclass, field
from typing import Annotated, Any, NotRequired, Required, TypedDict

import annotated_types
import msgspec
import pydantic
import pytest

from dashflow.errors import InvalidUpdateError
from dashflow.graph import END, START, StateGraph

pytestmark = pytest.mark.feature("SCHEMA-001")


class Typed(TypedDict):
    name: Required[str]
    size: NotRequired[int]
    log: Annotated[list[str], operator.add]


@dataclass
class Data:
    name: str
    size: int = 3
    log: Annotated[list[str], operator.add] = field(default_factory=list)


class Model(pydantic.BaseModel):
    name: str
    size: int = 3
    log: Annotated[list[str], operator.add] = []


class Struct(msgspec.Struct):
    name: str
    size: int = 3
    log: Annotated[list[str], operator.add] = []


def get(state: Any, key: str) -> Any:
    return state.get(key) if isinstance(state, dict) else getattr(state, key)


@pytest.mark.parametrize("schema", [Typed, Data, Model, Struct])
def test_the_same_program_over_every_kind_of_state(world, schema) -> None:
    seen = []

    def first(state: schema) -> Any:
        seen.append(state)
        return {"size": 1, "log": [get(state, "name")]}

    def second(state: schema) -> Any:
        seen.append(state)
        return {"log": [str(get(state, "size"))]}

    def path(state: schema) -> str:
        seen.append(state)
        return END

    graph = world.graph([first, second], [(START, "first"), ("first", "second")], schema=schema)
    graph.add_conditional_edges("second", path)
    result = world.run(world.compile(graph), {"name": "x"})
    assert result == {"name": "x", "size": 1, "log": ["x", "1"]}
    assert [type(state) for state in seen] == [dict if schema is Typed else schema] * 3
    assert get(seen[0], "size") == (None if schema is Typed else 3)
    assert get(seen[2], "log") == ["x", "1"]


@pytest.mark.parametrize("schema", [Data, Model, Struct])
def test_an_object_is_an_input_and_an_update(world, schema) -> None:
    def node(state: schema) -> Any:
        return schema(name=get(state, "name") + "!", log=["n"])

    graph = world.compile(world.graph([node], schema=schema))
    assert world.run(graph, schema(name="x")) == {"name": "x!", "size": 3, "log": ["n"]}


def test_parts_of_the_state_for_input_output_and_one_node(world) -> None:
    class Input(TypedDict):
        question: str

    class Output(pydantic.BaseModel):
        answer: str

    class Private(msgspec.Struct):
        hint: str

    class Whole(Input):
        answer: str

    def think(state: Input) -> Any:
        return {"hint": state["question"][::-1]}

    def say(state: Private) -> Any:
        return {"answer": state.hint}

    graph = world.graph([think, say], schema=Whole, input_schema=Input, output_schema=Output)
    assert world.run(world.compile(graph), {"question": "abc", "answer": "ignored"}) == {"answer": "cba"}


@pytest.mark.parametrize(
    ("schema", "error"), [(Model, pydantic.ValidationError), (Struct, msgspec.ValidationError)]
)
def test_a_value_of_the_wrong_type_is_refused_before_the_node(world, schema, error) -> None:
    ran = []

    def node(state: schema) -> Any:
        ran.append(state)

    graph = world.compile(world.graph([node], schema=schema))
    with pytest.raises(error) as caught:
        world.run(graph, {"name": 5})
    assert "Before task with name 'node'" in caught.value.__notes__[0]
    assert ran == []


class Limits(msgspec.Struct):
    age: Annotated[int, msgspec.Meta(ge=0, le=150)]
    name: Annotated[str, msgspec.Meta(min_length=1)]
    log: Annotated[list[str], msgspec.Meta(max_length=2), operator.add] = []


class ModelLimits(pydantic.BaseModel):
    age: Annotated[int, annotated_types.Ge(0), annotated_types.Le(150)]
    name: Annotated[str, pydantic.Field(min_length=1)]
    log: Annotated[list[str], pydantic.Field(max_length=2), operator.add] = []


@pytest.mark.parametrize("schema", [Limits, ModelLimits])
@pytest.mark.parametrize(
    "given", [{"age": -1, "name": "x"}, {"age": 151, "name": "x"}, {"age": 1, "name": ""}]
)
def test_limits_of_annotations_hold(schema, given) -> None:
    graph = StateGraph(schema).add_node("a", lambda state: {"log": [state.name]}).add_edge(START, "a")
    compiled = graph.compile()
    assert compiled.invoke({"age": 1, "name": "x"})["log"] == ["x"]
    with pytest.raises((msgspec.ValidationError, pydantic.ValidationError), match=r"\$\.|validation error"):
        compiled.invoke(given)


def test_constraints_are_no_reducers() -> None:
    class State(TypedDict):
        size: Annotated[int, annotated_types.Ge(0)]
        text: Annotated[str, annotated_types.Predicate(str.islower)]

    graph = StateGraph(State).add_node("a", lambda state: {"size": 1}).add_edge(START, "a").compile()
    assert graph.invoke({"size": 0, "text": "a"}) == {"size": 1, "text": "a"}


class Renamed(msgspec.Struct, rename="camel"):
    first_name: str
    log: Annotated[list[str], operator.add] = []


class Aliased(pydantic.BaseModel):
    first_name: str = pydantic.Field(alias="firstName")
    log: Annotated[list[str], operator.add] = []


class AliasedByName(Aliased):
    model_config = pydantic.ConfigDict(populate_by_name=True)


@pytest.mark.parametrize("schema", [Renamed, Aliased, AliasedByName])
@pytest.mark.parametrize("key", ["first_name", "firstName"])
def test_other_names_of_keys(schema, key) -> None:
    def node(state: schema) -> Any:
        return {"log": [state.first_name]}

    graph = StateGraph(schema).add_node(node).add_edge(START, "node").compile()
    assert graph.invoke({key: "x"}) == {"first_name": "x", "log": ["x"]}


def test_a_struct_field_that_was_not_set_is_no_update() -> None:
    class Update(msgspec.Struct):
        name: str
        size: int | msgspec.UnsetType = msgspec.UNSET

    graph = StateGraph(Typed).add_node("a", lambda state: Update("y")).add_edge(START, "a").compile()
    assert graph.invoke({"name": "x", "size": 7}) == {"name": "y", "size": 7, "log": []}


def test_a_state_without_keys(world) -> None:
    graph = world.graph([("a", lambda value: [*value, 1])], schema=Annotated[list, operator.add])
    assert world.run(world.compile(graph), [0]) == [0, 0, 1]


@pytest.mark.parametrize("given", [5, "x", [("name", "x")]])
def test_what_is_no_input(given) -> None:
    graph = StateGraph(Typed).add_node("a", lambda state: None).add_edge(START, "a").compile()
    with pytest.raises(InvalidUpdateError, match="Expected dict, got"):
        graph.invoke(given)
