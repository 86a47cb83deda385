"""Error handlers take the place of a node that failed for good, in the same step, also after a crash."""

import operator
from typing import Annotated, Any, TypedDict

import pytest

from dashflow.cache.memory import InMemoryCache
from dashflow.channels import LastValue
from dashflow.checkpoint.memory import InMemorySaver
from dashflow.errors import NodeError
from dashflow.func import entrypoint, task
from dashflow.graph import START, StateGraph
from dashflow.pregel import Pregel
from dashflow.pregel.node import PregelNode
from dashflow.pregel.write import ChannelWrite, ChannelWriteEntry
from dashflow.types import CachePolicy, Command, RetryPolicy, Send, interrupt

pytestmark = pytest.mark.feature("RUN-05")


def fails(state):
    raise ValueError("boom")


def test_a_handler_takes_the_place_of_its_node(world) -> None:
    told = []

    def handler(state, error: NodeError):
        told.append(error)
        return {"n": state["n"] + 1, "log": ["handler"]}

    builder = StateGraph(world.State)
    builder.add_node("node", world.node(fails), error_handler=world.node(handler))
    builder.add_node("never", world.node(world.says("never")[1])).add_edge("node", "never")
    graph = world.compile(builder.add_edge(START, "node"))
    assert world.run(graph, {"n": 1}) == {"n": 2, "log": ["handler"]}
    (error,) = told
    assert error.node == "node"
    assert (type(error.error), str(error.error)) == (ValueError, "boom")
    assert "During task with name 'node'" in "".join(error.error.__notes__)


def test_a_handler_says_where_to_go(world) -> None:
    def handler(state):
        return Command(goto=["a", Send("b", {"n": 5})], update={"log": ["handler"]})

    builder = StateGraph(world.State).add_node("node", world.node(fails), error_handler=world.node(handler))
    builder.add_node(*world.says("a")).add_node("b", world.node(lambda state: {"n": state["n"]}))
    graph = world.compile(builder.add_edge(START, "node"))
    assert world.run(graph, {"n": 1}) == {"n": 5, "log": ["handler", "a"]}


def test_retries_come_first_and_the_handler_has_its_own(world) -> None:
    tried = []

    def node(state):
        tried.append("node")
        raise ConnectionError("node")

    def handler(state):
        tried.append("handler")
        if tried.count("handler") == 1:
            raise ConnectionError("handler")
        return {"log": ["handled"]}

    builder = StateGraph(world.State)
    builder.set_node_defaults(retry_policy=RetryPolicy(initial_interval=0, jitter=False, max_attempts=2))
    builder.add_node("node", world.node(node), error_handler=world.node(handler)).add_edge(START, "node")
    assert world.run(world.compile(builder), {"n": 1})["log"] == ["handled"]
    assert tried == ["node", "node", "handler", "handler"]


def test_the_handler_of_all_nodes_serves_those_without_their_own_and_fails_for_itself(world) -> None:
    def mine(state, error: NodeError):
        return {"log": [f"mine {error.node}"]}

    def everybodys(state, error: NodeError):
        if error.node == "c":
            raise KeyError("handler of c")
        return {"log": [f"everybody's {error.node}"]}

    builder = StateGraph(world.State).add_node("a", world.node(fails), error_handler=world.node(mine))
    builder.add_node("b", world.node(fails)).add_node("c", world.node(fails))
    builder.set_node_defaults(error_handler=world.node(everybodys))
    builder.add_edge(START, "a").add_edge(START, "b")
    assert sorted(world.run(world.compile(builder), {"n": 1})["log"]) == ["everybody's b", "mine a"]
    builder.add_edge(START, "c")
    with pytest.raises(KeyError, match="handler of c"):
        world.run(world.compile(builder), {"n": 1}, world.config("other"))


def test_a_graph_is_compiled_as_often_as_one_likes(world) -> None:
    builder = StateGraph(world.State).add_node("node", world.node(fails)).add_edge(START, "node")
    builder.set_node_defaults(error_handler=world.node(lambda state: {"log": ["handled"]}))
    for thread in "ab":
        graph = world.compile(builder)
        assert world.run(graph, {"n": 1}, world.config(thread))["log"] == ["handled"]


def test_a_node_may_not_have_the_name_of_a_handler() -> None:
    builder = (
        StateGraph(dict).add_node("__error_handler__node", fails).add_edge(START, "__error_handler__node")
    )
    with pytest.raises(ValueError, match="`__error_handler__node` already exists"):
        builder.add_node("node", fails, error_handler=fails)
    builder.add_node("__default_error_handler__", fails).set_node_defaults(error_handler=fails)
    with pytest.raises(ValueError, match="`__default_error_handler__` already exists"):
        builder.compile()


def test_every_packet_that_fails_is_handled_with_its_input(world) -> None:
    def work(state):
        if state["n"] % 2:
            raise ValueError("odd")
        return {"log": [state["n"]]}

    def handler(state, error: NodeError):
        return {"log": [f"{error.error} {state['n']}"]}

    builder = StateGraph(world.State)
    builder.add_node("work", world.node(work), error_handler=world.node(handler))
    builder.add_conditional_edges(START, lambda s: [Send("work", {"n": n}) for n in range(4)], ["work"])
    log = world.run(world.compile(builder), {"n": 1})["log"]
    assert sorted(map(str, log)) == ["0", "2", "odd 1", "odd 3"]


def test_an_error_inside_a_graph_is_handled_by_the_node_that_it_is(world) -> None:
    inner = StateGraph(world.State).add_node("inside", world.node(fails)).add_edge(START, "inside")

    def handler(state, error: NodeError):
        return {"log": [f"{error.node}: {error.error}"]}

    builder = StateGraph(world.State).add_node("node", inner.compile(), error_handler=world.node(handler))
    assert world.run(world.compile(builder.add_edge(START, "node")), {"n": 1})["log"] == ["node: boom"]


def test_updates_name_the_handler(world) -> None:
    builder = StateGraph(world.State)
    builder.add_node("node", world.node(fails), error_handler=world.node(lambda state: {"log": ["handled"]}))
    builder.add_node(*world.says("beside")).add_edge(START, "beside").add_edge(START, "node")
    parts = world.parts(world.compile(builder), {"n": 1}, stream_mode="updates")
    assert sorted(parts, key=str) == [
        {"__error_handler__node": {"log": ["handled"]}},
        {"beside": {"log": ["beside"]}},
    ]


def test_questions_are_no_errors(recorded) -> None:
    world = recorded
    builder = StateGraph(world.State)
    builder.add_node(
        "node",
        world.node(lambda state: {"log": [interrupt("what")]}),
        error_handler=world.node(lambda state: {"log": ["handled"]}),
    )
    builder.add_node(*world.says("beside")).add_edge(START, "beside").add_edge(START, "node")
    graph = world.compile(builder)
    assert [q.value for q in world.run(graph, {"n": 1})["__interrupt__"]] == ["what"]
    assert sorted(world.run(graph, Command(resume="this"))["log"]) == ["beside", "this"]


def test_a_handler_may_ask_and_the_node_does_not_run_again(recorded) -> None:
    world, ran = recorded, []

    def node(state):
        ran.append("node")
        raise ValueError("boom")

    def handler(state, error: NodeError):
        ran.append(f"{error.node}: {error.error}")
        return {"log": [interrupt("go on?")]}

    builder = StateGraph(world.State).add_node("node", world.node(node), error_handler=world.node(handler))
    builder.add_edge(START, "node")
    graph = world.compile(builder)
    (question,) = world.run(graph, {"n": 1})["__interrupt__"]
    world.reopen()
    graph = world.compile(builder)
    assert world.run(graph, Command(resume={question.id: "yes"}))["log"] == ["yes"]
    assert ran[0] == "node"
    assert ran[1] == "node: boom"
    assert "boom" in ran[2]
    assert len(ran) == 3


class Many(TypedDict):
    log: Annotated[list[Any], operator.add]


def test_a_handler_that_failed_runs_again_and_the_node_does_not(recorded) -> None:
    world, ran, broken = recorded, [], [True]

    def node(state):
        ran.append("node")
        raise ValueError("boom")

    def handler(state, error: NodeError):
        ran.append("handler")
        assert error.node == "node"
        assert "boom" in str(error.error)
        if broken:
            raise KeyError("broken")
        return {"log": ["handled"]}

    builder = StateGraph(Many).add_node("node", world.node(node)).add_edge(START, "node")
    builder.set_node_defaults(error_handler=world.node(handler))
    builder.add_node("after", world.node(lambda state: {"log": ["after"]})).add_edge("node", "after")
    with pytest.raises(KeyError, match="broken"):
        world.run(world.compile(builder), {"log": []})
    broken.clear()
    world.reopen()
    assert world.run(world.compile(builder), None)["log"] == ["handled"]
    assert ran == ["node", "handler", "handler"]


def test_results_beside_a_failed_handler_are_kept(recorded) -> None:
    world, ran, broken = recorded, [], [True]

    def beside(state):
        ran.append("beside")
        return {"log": ["beside"]}

    def handler(state):
        if broken:
            raise KeyError("broken")
        return {"log": ["handled"]}

    builder = StateGraph(Many).add_node("node", world.node(fails), error_handler=world.node(handler))
    builder.add_node("beside", world.node(beside)).add_edge(START, "beside").add_edge(START, "node")
    with pytest.raises(KeyError, match="broken"):
        world.run(world.compile(builder), {"log": []}, world.config(max_concurrency=1))
    broken.clear()
    world.reopen()
    result = world.run(world.compile(builder), None)["log"]
    assert sorted(result) == ["beside", "handled"]
    assert ran.count("beside") in (1, 2)  # once, unless it had not come to its turn


def test_a_node_whose_handler_is_gone_runs_again(recorded) -> None:
    world, ran = recorded, []

    def node(state):
        ran.append("node")
        if len(ran) == 1:
            raise ValueError("boom")
        return {"log": ["node"]}

    def broken(state):
        raise KeyError("broken")

    builder = StateGraph(Many).add_node("node", world.node(node), error_handler=world.node(broken))
    with pytest.raises(KeyError):
        world.run(world.compile(builder.add_edge(START, "node")), {"log": []})
    world.reopen()
    without = StateGraph(Many).add_node("node", world.node(node)).add_edge(START, "node")
    assert world.run(world.compile(without), None)["log"] == ["node"]


# -- savers of others ------------------------------------------------------------------------------


class Foreign(InMemorySaver):
    """A subclass of ours is driven through LangGraph's calls, like savers of others."""

    def __init__(self) -> None:
        super().__init__()
        self.put_in: list[list[str]] = []

    def put_writes(self, config, writes, task_id, task_path=""):
        self.put_in.append([channel for channel, _ in writes])
        return super().put_writes(config, writes, task_id, task_path)


def test_a_saver_of_others_is_told_as_langgraph_tells_it() -> None:
    broken, ran, saver = [True], [], Foreign()

    def node(state):
        ran.append("node")
        raise ValueError("boom")

    def handler(state, error: NodeError):
        ran.append(f"{error.node}: {error.error}")
        if broken:
            raise KeyError("broken")
        return {"log": ["handled"]}

    builder = StateGraph(Many).add_node("node", node, error_handler=handler).add_edge(START, "node")
    graph = builder.compile(checkpointer=saver)
    config = {"configurable": {"thread_id": "t"}}
    with pytest.raises(KeyError):
        graph.invoke({"log": []}, config)
    assert ["__error__", "__error_source_node__"] in saver.put_in
    assert graph.get_state(config).next == ("node",)
    broken.clear()
    assert graph.invoke(None, config) == {"log": ["handled"]}
    assert [entry.split(":")[0] for entry in ran] == ["node"] * 3
    assert "boom" in ran[2]


def test_results_of_called_functions_come_back_from_a_saver_of_others() -> None:
    ran = []

    @task
    def double(n):
        ran.append(n)
        return n * 2

    @entrypoint(checkpointer=Foreign())
    def flow(numbers):
        doubled = [called.result() for called in [double(n) for n in numbers]]
        return [*doubled, interrupt("and?")]

    config = {"configurable": {"thread_id": "t"}}
    flow.invoke([1, 2], config)
    assert flow.invoke(Command(resume="yes"), config) == [2, 4, "yes"]
    assert sorted(ran) == [1, 2]


def test_pending_writes_say_who_failed_and_what_the_handler_asked(recorded) -> None:
    world = recorded

    def handler(state, error: NodeError):
        return {"log": [interrupt(f"{error.node} {state['n']}")]}

    builder = StateGraph(world.State).add_node("node", world.node(fails), error_handler=world.node(handler))
    builder.add_edge(START, "node")
    builder.add_conditional_edges(START, lambda s: [Send("node", {"n": 7}), Send("node", {"n": 8})], ["node"])
    graph = world.compile(builder)
    questions = world.run(graph, {"n": 1})["__interrupt__"]
    assert sorted(q.value for q in questions) == ["node 1", "node 7", "node 8"]
    if world.kind == "asyncio":

        async def read():
            return await world.saver.aget_tuple(world.config())

        stored = world._runner.run(read())
    else:
        stored = world.saver.get_tuple(world.config())
    told = {(channel, str(value)) for _, channel, value in stored.pending_writes}
    assert ("__error_source_node__", "node") in told
    assert ("__error__", "ValueError('boom')") in told
    by_task: dict[str, list[str]] = {}
    for task_id, channel, _ in stored.pending_writes:
        by_task.setdefault(task_id, []).append(channel)
    failed, asked = ["__error__", "__error_source_node__"], ["__interrupt__"]
    assert sorted(map(sorted, by_task.values())) == [failed] * 3 + [asked] * 3
    answers = {question.id: f"re {question.value}" for question in questions}
    assert sorted(world.run(graph, Command(resume=answers))["log"]) == ["re node 1", "re node 7", "re node 8"]


def test_the_map_of_a_low_level_graph_says_who_takes_over() -> None:
    tried = []

    def node(value: int) -> int:
        tried.append(value)
        raise ValueError("boom")

    def handler(value: int, error: NodeError) -> int:
        tried.append(error.node)
        if value == 2:
            raise LookupError("handler")
        return value + 100

    def writes(function: Any, *triggers: str) -> PregelNode:
        writers = [ChannelWrite([ChannelWriteEntry("output")])]
        return PregelNode(channels="input", triggers=triggers, bound=function, writers=writers)

    graph: Any = Pregel(
        nodes={"a": writes(node, "input"), "h": writes(handler)},
        channels={"input": LastValue(int), "output": LastValue(int)},
        input_channels="input",
        output_channels="output",
        cache=InMemoryCache(),
        cache_policy=CachePolicy(),
        node_error_handler_map={"a": "h", "h": "h"},
    )
    assert (graph.invoke(1), graph.copy({"name": "twin"}).invoke(1), tried) == (101, 101, [1, "a", 1, "a"])
    with pytest.raises(LookupError):  # nobody handles a handler's error
        graph.invoke(2)
    with pytest.raises(ValueError, match="boom"):
        graph.copy({"node_error_handler_map": {}}).invoke(1)
