"""Rules in a state's schema: checked on input, every update, edits and load, with the field's path."""

import operator
import re
from dataclasses import dataclass, field
from typing import Annotated, Any

import annotated_types
import msgspec
import pydantic
import pytest
from typing_extensions import TypedDict

from dashflow.checkpoint.memory import InMemorySaver
from dashflow.errors import StateValidationError
from dashflow.graph import START, MessagesState, StateGraph
from dashflow.runtime import Runtime
from dashflow.types import Command, Overwrite, Send, interrupt

pytestmark = [pytest.mark.feature("SCHEMA-001"), pytest.mark.feature("SCHEMA-002")]

CONFIG = {"configurable": {"thread_id": "t"}}


class Line(TypedDict):
    name: Annotated[str, annotated_types.MinLen(1)]
    price: Annotated[float, annotated_types.Ge(0)]


class Typed(TypedDict, total=False):
    n: Annotated[int, annotated_types.Interval(ge=0, lt=100)]
    code: Annotated[str, msgspec.Meta(pattern="^[A-Z]+$")]
    lines: Annotated[list[Line], annotated_types.MaxLen(2), operator.add]
    even: Annotated[int, annotated_types.Predicate(lambda value: value % 2 == 0)]


@dataclass
class Data:
    n: Annotated[int, pydantic.Field(ge=0, lt=100)] = 0
    code: Annotated[str, pydantic.Field(pattern="^[A-Z]+$")] = "A"
    lines: Annotated[list[Line], annotated_types.MaxLen(2), operator.add] = field(default_factory=list)


class Model(pydantic.BaseModel):
    n: int = pydantic.Field(0, ge=0, lt=100)
    code: Annotated[str, pydantic.StringConstraints(pattern="^[A-Z]+$")] = "A"
    lines: Annotated[list[Line], annotated_types.MaxLen(2), operator.add] = []


class Struct(msgspec.Struct):
    n: Annotated[int, msgspec.Meta(ge=0, lt=100)] = 0
    code: Annotated[str, msgspec.Meta(pattern="^[A-Z]+$")] = "A"
    lines: Annotated[list[Line], annotated_types.MaxLen(2), operator.add] = []


KINDS = pytest.mark.parametrize("kind", [Typed, Data, Model, Struct])
NUT = {"name": "nut", "price": 1}


def graph(*updates: Any, kind: Any = Typed, saver: Any = None, **options: Any) -> Any:
    """A chain of nodes that return these updates."""
    builder = StateGraph(kind)
    names = [f"node{number}" for number in range(len(updates))]
    for name, update in zip(names, updates, strict=True):
        builder.add_node(name, update if callable(update) else (lambda state, update=update: update))
    for start, end in zip((START, *names), names, strict=False):
        builder.add_edge(start, end)
    return builder.compile(checkpointer=saver or InMemorySaver(), **options)


def refused(error: Any) -> tuple[str, str, Any, str]:
    return error.value.node, error.value.field, error.value.value, error.value.rule


@KINDS
@pytest.mark.guarantee("rules")
@pytest.mark.parametrize(
    ("update", "field_", "value", "rule"),
    [
        ({"n": -1}, "n", -1, ">= 0"),
        ({"n": 100}, "n", 100, "< 100"),
        ({"code": "a1"}, "code", "a1", "text that matches ^[A-Z]+$"),
        ({"lines": [NUT] * 3}, "lines", [NUT] * 3, "at most 2 long"),
        ({"lines": [NUT, {"name": "", "price": 1}]}, "lines[1].name", "", "at least 1 long"),
        ({"lines": [{"name": "nut", "price": -1}]}, "lines[0].price", -1, ">= 0"),
    ],
)
def test_a_failing_update_names_node_field_value_rule_and_changes_nothing(kind, update, field_, value, rule):
    broken = graph({"n": 5}, {"n": 6, **update}, kind=kind)
    with pytest.raises(StateValidationError) as caught:
        broken.invoke({"n": 1}, CONFIG)
    assert refused(caught) == ("node1", field_, value, rule)
    assert f"Node 'node1' has {value!r} for {field_!r}, which must be {rule}" in str(caught.value)
    state = broken.get_state(CONFIG)
    assert (state.values["n"], state.next) == (5, ("node1",))
    mended = graph({"n": 5}, {"n": 6}, kind=kind, saver=broken.checkpointer)
    assert mended.invoke(None, CONFIG)["n"] == 6


@KINDS
def test_what_keeps_the_rules_passes(kind):
    done = graph({"n": 99, "code": "AB", "lines": [NUT]}, {"lines": [NUT]}, kind=kind).invoke(
        {"n": 0}, CONFIG
    )
    assert (done["n"], done["code"], len(done["lines"])) == (99, "AB", 2)


@pytest.mark.parametrize("kind", [Typed, Data])
def test_an_input_is_refused_before_anything_is_recorded(kind):
    refuses = graph({"n": 5}, kind=kind)
    with pytest.raises(StateValidationError) as caught:
        refuses.invoke({"n": -1}, CONFIG)
    assert refused(caught) == ("input", "n", -1, ">= 0")
    assert list(refuses.checkpointer.log.read_all()) == []
    assert refuses.invoke({"n": 1}, CONFIG)["n"] == 5


@pytest.mark.parametrize(
    ("kind", "error"), [(Model, pydantic.ValidationError), (Struct, msgspec.ValidationError)]
)
def test_classes_that_have_an_error_of_their_own_refuse_an_input_with_it(kind, error):
    refuses = graph({"n": 5}, kind=kind)
    with pytest.raises(error):
        refuses.invoke({"n": -1}, CONFIG)
    assert list(refuses.checkpointer.log.read_all()) == []
    assert refuses.invoke({"n": 1}, CONFIG)["n"] == 5


def test_a_reducer_is_asked_what_the_update_comes_to():
    grows = graph({"lines": [NUT]}, {"lines": [NUT]}, {"lines": Overwrite([NUT])})
    assert len(grows.invoke({}, CONFIG)["lines"]) == 1
    with pytest.raises(StateValidationError) as caught:
        graph({"lines": [NUT]}, {"lines": [NUT]}, {"lines": [NUT]}).invoke({"n": 1}, CONFIG)
    assert refused(caught)[:2] == ("node2", "lines")


def test_updates_of_one_step_are_also_looked_at_together():
    builder = StateGraph(Typed)
    for name in ("a", "b", "c"):
        builder.add_node(name, lambda state: {"lines": [NUT]}).add_edge(START, name)
    together = builder.compile(checkpointer=InMemorySaver())
    with pytest.raises(StateValidationError) as caught:
        together.invoke({"n": 1}, CONFIG)
    assert refused(caught)[:2] == ("a + b + c", "lines")
    assert together.get_state(CONFIG).values == {"n": 1, "lines": []}


def test_commands_predicates_and_edits_are_checked():
    with pytest.raises(StateValidationError, match="is true"):
        graph(lambda state: Command(update={"even": 3})).invoke({"n": 1}, CONFIG)
    edited = graph({"n": 5})
    edited.invoke({"n": 1}, CONFIG)
    with pytest.raises(StateValidationError) as caught:
        edited.update_state(CONFIG, {"n": -7})
    assert refused(caught) == ("update_state", "n", -7, ">= 0")
    assert edited.get_state(CONFIG).values["n"] == 5
    asks = graph(lambda state: {"n": interrupt("?")})
    asks.invoke({"n": 1}, CONFIG)
    with pytest.raises(StateValidationError) as caught:
        asks.invoke(Command(resume=4, update={"n": 400}), CONFIG)
    assert refused(caught)[:3] == ("input", "n", 400)


class Loose(TypedDict, total=False):
    n: int
    code: str
    lines: Annotated[list[dict], operator.add]


@pytest.mark.guarantee("rules")
def test_what_was_stored_is_checked_when_it_is_loaded():
    saver = InMemorySaver()
    graph(lambda state: {"code": interrupt("?")}, kind=Loose, saver=saver).invoke({"n": -3}, CONFIG)
    before = [record.event_id for record in saver.log.read_all()]
    strict = graph(lambda state: {"code": interrupt("?")}, saver=saver)
    with pytest.raises(StateValidationError, match="The stored state has -3 for 'n'") as caught:
        strict.invoke(Command(resume="A"), CONFIG)
    assert refused(caught) == ("load", "n", -3, ">= 0")
    assert [record.event_id for record in saver.log.read_all()] == before
    with pytest.raises(StateValidationError, match="stored state"):
        strict.invoke({"code": "A"}, CONFIG)
    strict.invoke({"n": 4}, CONFIG)  # a new input may replace it
    strict.update_state(CONFIG, {"n": 3}, as_node=START)  # an edit mends it, too
    strict.invoke(None, CONFIG)
    assert strict.invoke(Command(resume="A"), CONFIG)["code"] == "A"


def test_rules_of_the_input_schema_are_the_inputs_alone():
    class Given(TypedDict):
        n: Annotated[int, annotated_types.Gt(0)]

    builder = (
        StateGraph(Loose, input_schema=Given).add_node("a", lambda state: {"n": -1}).add_edge(START, "a")
    )
    with pytest.raises(StateValidationError):
        builder.compile().invoke({"n": 0})
    assert builder.compile().invoke({"n": 1})["n"] == -1


def test_a_state_without_keys_can_have_rules():
    kind = Annotated[list, annotated_types.MaxLen(2), operator.add]
    builder = StateGraph(kind).add_node("a", lambda state: [1]).add_edge(START, "a")
    assert builder.compile().invoke([0]) == [0, 1]
    with pytest.raises(StateValidationError, match="at most 2 long"):
        builder.compile().invoke([0, 0])


def test_types_are_checked_where_that_is_asked_for():
    loose = graph({"n": "five"}, kind=Loose)
    assert loose.invoke({"n": 1}, CONFIG)["n"] == "five"  # as in LangGraph
    strict = graph({"n": "five"}, kind=Loose, validate=True)
    with pytest.raises(StateValidationError) as caught:
        strict.invoke({"n": 1}, CONFIG)
    assert refused(caught) == ("node0", "n", "five", "a int")
    with pytest.raises(StateValidationError, match="input"):
        strict.invoke({"lines": [1]}, CONFIG)


def test_a_graph_without_rules_has_none():
    assert graph({"n": 1}, kind=Loose).plan.rules is None
    assert graph({"messages": []}, kind=MessagesState).plan.rules is None
    assert graph({"n": 1}).plan.rules is not None


def test_a_sent_task_is_checked_too():
    def work(state: Any) -> dict[str, Any]:
        return {"n": -state["n"]}

    builder = StateGraph(Typed).add_node("work", work)
    builder.add_conditional_edges(START, lambda state: [Send("work", {"n": 5})])
    with pytest.raises(StateValidationError, match=re.escape("Node 'work' has -5 for 'n'")):
        builder.compile().invoke({"n": 1})


class Place(TypedDict, total=False):
    currency: Annotated[str, annotated_types.Len(3, 3)]


@dataclass
class Region:
    currency: Annotated[str, annotated_types.Len(3, 3)]


@pytest.mark.parametrize("kind", [Place, Region])
def test_a_context_keeps_the_rules_of_its_schema(kind):
    def node(state: Loose, runtime: Runtime[Any]) -> dict[str, Any]:
        return {"n": state["n"] + 1}

    builder = StateGraph(Loose, context_schema=kind).add_node("a", node).add_edge(START, "a")
    graph = builder.compile()
    assert graph.invoke({"n": 1}, context={"currency": "EUR"})["n"] == 2
    with pytest.raises(StateValidationError, match="The context has 'EURO' for 'currency'"):
        graph.invoke({"n": 1}, context={"currency": "EURO"})


def test_rules_of_a_private_schema_are_those_of_its_own_keys():
    class Private(TypedDict, total=False):
        n: Annotated[int, annotated_types.Ge(10)]
        hint: Annotated[str, annotated_types.MinLen(3)]

    def reads(state: Private) -> dict[str, Any]:
        return {"n": 2}

    builder = StateGraph(Loose).add_node("a", lambda state: {"n": 1, "hint": "abc"}).add_node("b", reads)
    graph = builder.add_edge(START, "a").add_edge("a", "b").compile()
    assert graph.invoke({"n": 0})["n"] == 2  # the state has no rule for it
    builder = StateGraph(Loose).add_node("a", lambda state: {"hint": "a"}).add_node("b", reads)
    with pytest.raises(StateValidationError, match="for 'hint'"):
        builder.add_edge(START, "a").add_edge("a", "b").compile().invoke({"n": 0})
