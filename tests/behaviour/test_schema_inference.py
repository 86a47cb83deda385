"""Schemas that are found out: from samples, from nodes; and dry runs of going on with threads."""

import operator
from typing import Annotated, Any, TypedDict

import annotated_types
import pytest

from dashflow.checkpoint.memory import InMemorySaver
from dashflow.graph import START, StateGraph
from dashflow.graph.inference import infer_from_nodes, infer_from_samples
from dashflow.types import Migration, interrupt

pytestmark = pytest.mark.feature("SCHEMA-003")

CONFIG = {"configurable": {"thread_id": "t"}}
ORDERS = [
    {
        "id": 1,
        "total": 3,
        "lines": [{"name": "nut", "price": 1}, {"name": "bolt", "price": 0.5}],
        "note": None,
    },
    {"id": 2, "total": 3.5, "lines": [], "note": "soon", "tags": ["a"]},
]


def test_samples_tell_types_and_which_keys_may_be_missing():
    found = infer_from_samples(ORDERS, "Order")
    assert found.json_schema() == {
        "title": "Order",
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "total": {"type": "number"},
            "lines": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"name": {"type": "string"}, "price": {"type": "number"}},
                    "required": ["name", "price"],
                },
            },
            "note": {"anyOf": [{"type": "null"}, {"type": "string"}]},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["id", "lines", "note", "total"],
    }


def test_the_proposed_source_is_a_schema_that_takes_the_samples():
    found = infer_from_samples(ORDERS, "Order")
    names: dict[str, Any] = {}
    exec(found.source(), names)  # it is what users paste
    assert "note: str | None" in found.source()
    assert "tags: NotRequired[list[str]]" in found.source()
    for kind in (names["Order"], found.type()):
        builder = StateGraph(kind).add_node("a", lambda state: {"id": state["id"] + 1}).add_edge(START, "a")
        graph = builder.compile(validate=True)
        for order in ORDERS:
            assert graph.invoke(order)["id"] == order["id"] + 1


def test_keys_that_are_no_names_are_told_too():
    source = infer_from_samples([{"first-name": "Ada", "class": 1}]).source()
    names: dict[str, Any] = {}
    exec(source, names)
    assert names["State"].__annotations__.keys() == {"first-name", "class"}


class Input(TypedDict):
    question: str


class Output(TypedDict):
    answer: str
    score: float


def ask(state: Input) -> Output:
    return {"answer": state["question"].upper(), "score": 1.0}


def plain(state):
    count = state["count"] + len(state.get("seen", []))
    return {"count": count, "done": True, "names": ["a"]}


def test_nodes_tell_what_they_read_and_write():
    found = infer_from_nodes(ask, plain)
    assert found.json_schema()["properties"] == {
        "question": {"type": "string"},
        "answer": {"type": "string"},
        "score": {"type": "number"},
        "count": {},
        "seen": {},
        "done": {"type": "boolean"},
        "names": {"type": "array", "items": {}},
    }
    graph = StateGraph(dict[str, Any]).add_node(ask).add_edge(START, "ask").compile()
    assert set(infer_from_nodes(graph).fields) == {"question", "answer", "score"}


def test_nodes_that_do_not_agree_are_told_of():
    def other(state: Input) -> dict:
        return {"answer": 1}

    def third(state) -> dict:
        return {"answer": "text"}

    def fourth(state) -> dict:
        return {"answer": 4}

    assert infer_from_nodes(other).fields.keys() == {"question"}
    found = infer_from_nodes(third, fourth)
    assert found.notes == ("'answer' is int and str in different nodes",)
    assert found.json_schema()["properties"]["answer"] == {"anyOf": [{"type": "integer"}, {"type": "string"}]}


def test_nothing_to_learn_from_is_an_error():
    with pytest.raises(ValueError, match="no samples"):
        infer_from_samples([])
    with pytest.raises(TypeError, match="A sample of a state is a dict"):
        infer_from_samples([1])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="annotate one"):
        infer_from_nodes(lambda state: None)


class Ruled(TypedDict):
    n: Annotated[int, annotated_types.Ge(0)]
    log: Annotated[list[str], operator.add]


def test_json_schema_of_a_state():
    graph = StateGraph(Ruled).add_node("a", lambda state: {}).add_edge(START, "a").compile()
    schema = graph.get_state_jsonschema()
    assert schema["properties"]["n"]["type"] == "integer"
    assert schema["properties"]["log"]["items"] == {"type": "string"}


# -- dry runs ---------------------------------------------------------------------------------------


class State(TypedDict, total=False):
    n: int
    log: Annotated[list, operator.add]


class More(State, total=False):
    note: str


class Text(TypedDict, total=False):
    n: str
    log: Annotated[list, operator.add]


class Strict(TypedDict, total=False):
    n: Annotated[int, annotated_types.Ge(5)]
    log: list


def asking(name: str, saver: Any, kind: Any = State, **options: Any) -> Any:
    builder = StateGraph(kind).add_node(name, lambda state: {"log": [interrupt("?")]}).add_edge(START, name)
    return builder.compile(checkpointer=saver, **options)


@pytest.mark.feature("SCHEMA-005")
def test_a_dry_run_says_what_would_become_of_a_thread_and_does_nothing():
    saver = InMemorySaver()
    first = asking("ask", saver, version="1")
    first.invoke({"n": 1}, CONFIG)
    before = [record.event_id for record in saver.log.read_all()]
    assert first.check_thread(CONFIG).verdict == "same"
    compatible = asking("ask", saver, More, version="2").check_thread(CONFIG)
    assert (compatible.verdict, compatible.status, compatible.version) == ("compatible", "paused", "1")
    assert compatible.changed == ("version '1' is '2'", "key 'note' is new")
    step = Migration(since="1", nodes={"ask": "go"}, upcasts={"n": str})
    migrated = asking("go", saver, Text, version="2", migrations=[step]).check_thread(CONFIG)
    assert migrated.verdict == "migrated"
    assert migrated.migrated == ("node 'ask' becomes 'go'", "key 'n' gets another value")
    refused = asking("go", saver).check_thread(CONFIG)
    assert refused.verdict == "refused"
    assert "node 'ask' is to run next and is gone" in refused.problems[0]
    assert "must be >= 5" in asking("ask", saver, Strict).check_thread(CONFIG).problems[0]
    assert [record.event_id for record in saver.log.read_all()] == before
