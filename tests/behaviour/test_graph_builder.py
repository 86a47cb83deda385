"""How graphs are built: names, schemas, injection, deprecated arguments, and what the builder refuses."""

import functools
import logging
import operator
import warnings
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Optional, TypedDict

import pytest
from langchain_core.runnables import RunnableConfig, RunnableLambda

from dashflow.errors import InvalidUpdateError
from dashflow.graph import END, START, MessageGraph, StateGraph
from dashflow.graph.message import MessageGraph as SameMessageGraph
from dashflow.managed import IsLastStep
from dashflow.runtime import Runtime
from dashflow.types import CachePolicy, Command, RetryPolicy, Send, StreamWriter, TimeoutPolicy, TracePolicy
from dashflow.warnings import LangGraphDeprecatedSinceV05, LangGraphDeprecatedSinceV10

pytestmark = pytest.mark.feature("RUN-16")


class State(TypedDict, total=False):
    n: int
    log: Annotated[list[Any], operator.add]


def builder(*nodes: Any, schema: Any = State) -> StateGraph:
    graph = StateGraph(schema)
    for node in nodes:
        graph.add_node(*node) if isinstance(node, tuple) else graph.add_node(node)
    return graph


def one(action: Any, schema: Any = State) -> Any:
    return StateGraph(schema).add_node("one", action).add_edge(START, "one").compile()


class Caller:
    """An object that can be called, and has a method."""

    def __call__(self, state: State) -> Any:
        return {"log": ["called"]}

    def method(self, state: State) -> Any:
        return {"log": ["method"]}


def plain(state: State) -> Any:
    return {"log": ["plain"]}


# -- names and kinds of nodes -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "name"),
    [
        (plain, "plain"),
        (Caller(), "Caller"),
        (Caller().method, "method"),
        (lambda state: None, "<lambda>"),
        (RunnableLambda(plain), "plain"),
        (RunnableLambda(plain).with_config(tags=["x"]), "plain"),
        (builder(plain).add_edge(START, "plain").compile(name="inner"), "inner"),
    ],
    ids=["function", "object", "method", "lambda", "runnable", "bound runnable", "graph"],
)
def test_a_node_without_a_name_takes_its_actions(action, name) -> None:
    assert list(builder(action).nodes) == [name]


def test_generators_and_dicts_of_functions_are_nodes() -> None:
    def steps(state: State) -> Any:
        yield {"log": ["first"]}
        yield {"log": ["last"]}

    assert one(steps).invoke({"n": 1}) == {"n": 1, "log": ["last"]}
    both = one({"n": lambda state: state["n"] + 1, "log": lambda state: [state["n"]]})
    assert both.invoke({"n": 1}) == {"n": 2, "log": [1]}


def test_a_class_is_called_and_its_object_is_the_update() -> None:
    @dataclass
    class Update:
        state: Any
        log: Any = ()

        def __post_init__(self) -> None:
            self.log = ["made"]

    assert one(Update).invoke({"n": 1}) == {"n": 1, "log": ["made"]}


def test_a_sequence_names_its_nodes() -> None:
    graph = StateGraph(State).add_sequence([plain, ("two", plain), Caller()]).add_edge(START, "plain")
    assert graph.edges == {(START, "plain"), ("plain", "two"), ("two", "Caller")}
    assert graph.compile().invoke({})["log"] == ["plain", "plain", "called"]
    with pytest.raises(ValueError, match="Node names must be unique: node with the name 'plain'"):
        StateGraph(State).add_sequence([plain, plain])
    with pytest.raises(ValueError, match="at least one node"):
        StateGraph(State).add_sequence([])


def test_what_the_builder_shows() -> None:
    def decide(state: State) -> Literal["b", "__end__"]:
        return "b"

    policies: dict[str, Any] = {
        "retry_policy": RetryPolicy(),
        "cache_policy": CachePolicy(),
        "trace_policy": TracePolicy(),
        "metadata": {"m": 1},
        "destinations": ("b",),
        "defer": True,
    }
    graph = builder(plain, ("b", plain))
    graph.add_node("a", plain, error_handler=lambda state: None, **policies)
    graph.add_edge(START, "plain").add_edge(["plain", "a"], "b").add_conditional_edges("a", decide)
    spec = graph.nodes["a"]
    assert (spec.retry_policy, spec.cache_policy, spec.trace_policy) == tuple(policies.values())[:3]
    assert (spec.metadata, spec.ends, spec.defer, spec.input_schema) == ({"m": 1}, ("b",), True, State)
    assert (spec.error_handler_node, graph.nodes["__error_handler__a"].is_error_handler) == (
        "__error_handler__a",
        True,
    )
    assert spec.runnable.invoke({}) == {"log": ["plain"]}
    assert graph.waiting_edges == {(("plain", "a"), "b")}
    assert graph.branches["a"]["decide"].ends == {"b": "b", END: END}
    assert list(graph.schemas[State]) == list(graph.channels) == ["n", "log"]
    assert not graph.compiled
    graph.compile()
    assert graph.compiled


def test_where_commands_go_is_read_from_the_annotation() -> None:
    def alone(state: State) -> Command[Literal["b", "__end__"]]:
        return Command(goto="b")

    def among(state: State) -> dict[str, Any] | Command[Literal["b"]]:
        return {}

    graph = builder(alone, among, ("b", plain))
    assert graph.nodes["alone"].ends == ("b", END)
    assert graph.nodes["among"].ends == ("b",)
    assert graph.nodes["b"].ends == ()


def test_adding_to_a_compiled_graph_is_noted(caplog) -> None:
    graph = builder(plain).add_edge(START, "plain")
    compiled = graph.compile()
    with caplog.at_level(logging.WARNING):
        graph.add_node("late", plain).add_edge("plain", "late").add_conditional_edges("late", lambda s: END)
    assert [record.message.partition(" to ")[0] for record in caplog.records] == [
        "Adding a node",
        "Adding an edge",
        "Adding an edge",
    ]
    assert "late" not in compiled.nodes


def test_a_runnable_that_a_function_returns_is_run(world) -> None:
    def picks(state: Any) -> Any:
        return RunnableLambda(lambda state: {"log": [state["n"]]})

    def leads(state: Any) -> Any:
        return RunnableLambda(lambda state: "b")

    graph = world.graph([picks, world.says("b")], [(START, "picks")])
    graph.add_conditional_edges("picks", world.node(leads), ["b"])
    assert world.run(world.compile(graph), {"n": 7})["log"] == [7, "b"]


# -- what nodes ask for -------------------------------------------------------------------------------


def test_parameters_count_by_name_and_annotation() -> None:
    seen: dict[str, Any] = {}

    def asks(
        state: State,
        config: Optional[RunnableConfig],  # noqa: UP045  # both spellings count
        *,
        writer: StreamWriter,
        runtime: Runtime[Any],
        previous: Any,
        store: int = 5,
        error: str = "mine",
    ) -> None:
        seen.update(config=config["metadata"]["langgraph_node"], store=store, error=error)
        seen.update(runtime=runtime.context, previous=previous)
        writer("written")

    asks.__annotations__["config"] = "RunnableConfig | None"
    graph = StateGraph(State, context_schema=dict).add_node(asks).add_edge(START, "asks").compile()
    assert list(graph.stream({"n": 1}, context={"c": 1}, stream_mode="custom")) == ["written"]
    assert seen == {"config": "asks", "store": 5, "error": "mine", "runtime": {"c": 1}, "previous": None}


def test_bound_arguments_stay_and_the_others_are_filled() -> None:
    def asks(state: State, more: str, config: RunnableConfig) -> Any:
        return {"log": [more, config["metadata"]["langgraph_node"]]}

    assert one(functools.partial(asks, more="bound")).invoke({})["log"] == ["bound", "one"]


def test_a_config_of_another_type_is_warned_about_where_it_is_added() -> None:
    def wrong(state: State, config: dict[str, Any]) -> Any:
        return {"log": [sorted(config)[0]]}

    with pytest.warns(UserWarning, match="'config' parameter should be typed as 'RunnableConfig'") as caught:
        graph = builder(wrong).add_edge(START, "wrong")
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert graph.compile().invoke({})["log"], "it is needed, so it is filled all the same"


# -- schemas ----------------------------------------------------------------------------------------------


@pytest.mark.feature("SCHEMA-001")
def test_the_first_parameter_says_what_is_read() -> None:
    class Private(TypedDict):
        secret: str

    seen = []

    def first(state: State) -> Any:
        return {"secret": "s", "unknown": 1}

    def second(state: Private) -> Any:
        seen.append(state)
        return {"log": [state["secret"]]}

    def path(state: Private) -> str:
        seen.append(state)
        return END

    graph = builder(first, second).add_sequence([("third", second)])
    graph.add_edge(START, "first").add_edge("first", "second").add_conditional_edges("second", path)
    assert graph.compile().invoke({"n": 1}) == {"n": 1, "log": ["s"]}
    assert seen == [{"secret": "s"}] * 2


@pytest.mark.feature("SCHEMA-001")
def test_keys_that_a_node_returns_beside_the_state_reach_a_path_that_says_nothing() -> None:
    seen = []

    def path(state):
        seen.append(state)
        return END

    graph = builder(("a", lambda state: {"n": 2, "aside": 1})).add_edge(START, "a")
    graph.add_conditional_edges("a", path)
    graph.compile().invoke({"n": 1})
    assert seen == [{"n": 2, "log": [], "aside": 1}]


@pytest.mark.feature("SCHEMA-001")
def test_managed_values_are_no_input_and_no_output() -> None:
    class Managed(TypedDict):
        last: IsLastStep

    for place in ("input_schema", "output_schema"):
        with pytest.raises(ValueError, match="Invalid managed channels detected in Managed: last"):
            StateGraph(State, **{place: Managed})


@pytest.mark.feature("SCHEMA-001")
def test_a_schema_that_is_no_type_is_warned_about() -> None:
    with pytest.warns(UserWarning, match="Invalid state_schema: text") as caught:
        graph = StateGraph("text")
    assert caught[0].filename == __file__
    assert list(graph.channels) == ["__root__"]


# -- edges ------------------------------------------------------------------------------------------------


def test_a_branch_goes_by_the_name_of_its_path() -> None:
    graph = builder(plain)
    for path in (lambda state: END, Caller(), functools.partial(plain)):
        graph = builder(plain).add_conditional_edges("plain", path)
        assert list(graph.branches["plain"]) == ["condition"]
        with pytest.raises(ValueError, match="Branch with name `condition` already exists for node `plain`"):
            graph.add_conditional_edges("plain", path)
    graph.add_conditional_edges("plain", RunnableLambda(plain, name="named"))
    graph.add_conditional_edges("plain", plain)
    assert list(graph.branches["plain"]) == ["condition", "named", "plain"]


def test_paths_may_be_runnables(world) -> None:
    async def later(state: Any) -> str:
        return "b" if state["n"] else END

    path = RunnableLambda(lambda state: "b" if state["n"] else END, later)
    graph = world.graph([world.says("b")], []).add_conditional_edges(START, path, ["b", END])
    assert world.run(world.compile(graph), {"n": 1})["log"] == ["b"]
    assert world.run(world.compile(graph), {"n": 0}, world.config("u")) == {"n": 0, "log": []}


@pytest.mark.parametrize(
    ("decision", "error", "message"),
    [
        (None, ValueError, "Branch did not return a valid destination"),
        (START, ValueError, "Branch did not return a valid destination"),
        (Send(END, {}), InvalidUpdateError, "Cannot send a packet to the END node"),
    ],
)
def test_where_a_path_may_not_lead(decision, error, message) -> None:
    graph = builder(plain).add_edge(START, "plain").add_conditional_edges("plain", lambda s: decision)
    with pytest.raises(error, match=message):
        graph.compile().invoke({})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g: g.add_edge("gone", "a"), "Found edge starting at unknown node 'gone'"),
        (lambda g: g.add_edge("a", "gone"), "Found edge ending at unknown node `gone`"),
        (lambda g: g.add_conditional_edges("gone", plain), "Found edge starting at unknown node 'gone'"),
        (
            lambda g: g.add_conditional_edges("a", plain, ["gone"]),
            "At 'a' node, 'plain' branch found unknown target 'gone'",
        ),
        (
            lambda g: g.add_node("x", plain, destinations=("gone",)),
            "Found edge ending at unknown node `gone`",
        ),
    ],
)
def test_edges_name_nodes(change, message) -> None:
    graph = StateGraph(State).add_node("a", plain).add_edge(START, "a")
    with pytest.raises(ValueError, match=message):
        change(graph).compile()


def test_breakpoints_name_nodes_and_a_graph_has_a_way_in() -> None:
    graph = StateGraph(State).add_node("a", plain)
    with pytest.raises(ValueError, match="Graph must have an entrypoint"):
        graph.compile()
    with pytest.raises(ValueError, match="Interrupt node `gone` not found"):
        graph.add_edge(START, "a").compile(interrupt_before=["gone"])


def test_attributes_of_a_compiled_graph() -> None:
    builder_ = builder(plain).add_edge(START, "plain")
    graph = builder_.compile(name="mine", interrupt_after="*")
    assert (graph.name, graph.stream_mode, graph.builder) == ("mine", "updates", builder_)
    assert list(graph.nodes) == [START, "plain"]
    assert {"n", "log", START, "branch:to:plain", "__pregel_tasks"} == set(graph.channels)
    assert (graph.input_channels, graph.output_channels) == (START, ["n", "log"])
    assert graph.trigger_to_nodes["branch:to:plain"] == ("plain",)
    node = graph.nodes["plain"]
    assert (node.channels, node.triggers) == (["n", "log"], ["branch:to:plain"])
    assert node.bound.invoke({}) == {"log": ["plain"]}


def test_a_compiled_graph_can_be_put_together_by_hand() -> None:
    first = builder(plain, ("b", plain)).add_edge(START, "plain")
    graph = first.compile()
    graph.attach_node("c", first.nodes["b"])
    graph.attach_edge("plain", "b")
    graph.attach_edge(["plain", "b"], "c") if "c" in first.nodes else graph.attach_edge("b", "c")
    graph.attach_edge("c", END)
    assert graph.validate().invoke({})["log"] == ["plain"] * 3
    with pytest.raises(RuntimeError, match="no node to attach"):
        graph.attach_node("d", None)


# -- deprecated -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "category"),
    [
        ("config_schema", "context_schema", LangGraphDeprecatedSinceV10),
        ("input", "input_schema", LangGraphDeprecatedSinceV05),
        ("output", "output_schema", LangGraphDeprecatedSinceV05),
    ],
)
def test_former_names_of_schemas(old, new, category) -> None:
    with pytest.warns(category, match=f"`{old}` is deprecated .* Please use `{new}` instead") as caught:
        graph = StateGraph(State, **{old: State})
    assert getattr(graph, new) is State
    assert caught[0].filename == __file__


def test_former_names_of_a_nodes_arguments() -> None:
    class Other(TypedDict):
        n: int

    policy = RetryPolicy()
    with pytest.warns(LangGraphDeprecatedSinceV05, match="`retry` is deprecated .* `retry_policy`"):
        graph = StateGraph(State).add_node("a", plain, retry=policy)
    with pytest.warns(LangGraphDeprecatedSinceV05, match="`input` is deprecated .* `input_schema`"):
        graph.add_node("b", plain, input=Other)
    assert (graph.nodes["a"].retry_policy, graph.nodes["b"].input_schema) == (policy, Other)
    with pytest.warns(UserWarning, match="add_node has no parameter 'other'; the argument is ignored"):
        graph.add_node("c", plain, other=1)


@pytest.mark.feature("MSG-001")
def test_a_graph_of_messages() -> None:
    assert MessageGraph is SameMessageGraph
    with pytest.warns(LangGraphDeprecatedSinceV10, match="MessageGraph is deprecated in LangGraph v1.0.0"):
        graph = MessageGraph()
    graph.add_node("a", lambda messages: ("ai", messages[-1].content.upper())).add_edge(START, "a")
    assert [message.content for message in graph.compile().invoke(("human", "hi"))] == ["hi", "HI"]


@pytest.mark.parametrize("module", ["dashflow.graph", "dashflow.graph.message"])
def test_modules_have_no_other_names(module) -> None:
    import importlib

    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        importlib.import_module(module).Nothing  # noqa: B018


def test_a_time_limit_is_checked_when_it_is_given() -> None:
    with pytest.raises(ValueError, match="must be greater than 0"):
        StateGraph(State).add_node("a", plain, timeout=0)

    async def waits(state: State) -> None:
        return None

    graph = StateGraph(State).add_node(waits, timeout=5)
    assert graph.nodes["waits"].timeout == TimeoutPolicy(run_timeout=5.0)
