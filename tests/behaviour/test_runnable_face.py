"""A compiled graph is a LangChain Runnable: composed, wrapped, run in batches, handed to models as a tool."""

import json
import subprocess
import sys
import threading
from typing import Any, TypedDict

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from langchain_tests.integration_tests import ChatModelIntegrationTests

from dashflow.graph import START, MessagesState, StateGraph
from dashflow.pregel.face import RunnableFace


class Given(TypedDict):
    style: str


class Made(TypedDict):
    greeting: str


class Both(Given, Made):
    pass


def greeter(node: Any = None) -> Any:
    builder = StateGraph(Both, input_schema=Given, output_schema=Made)
    builder.add_node("greet", node or (lambda state: {"greeting": f"ahoy in {state['style']}"}))
    return builder.add_edge(START, "greet").compile(name="greeter")


def test_it_is_a_runnable_whichever_is_loaded_first():
    program = """
import sys
from dashflow.graph import StateGraph, START
graph = StateGraph(dict).add_node("a", lambda s: {"n": 1}).add_edge(START, "a").compile()
graph.invoke({})
assert graph.get_name() == "LangGraph" and not hasattr(graph, "never")
print("langchain_core" in sys.modules)
from langchain_core.runnables import Runnable
print(isinstance(graph, Runnable), issubclass(type(graph), Runnable), isinstance(3, Runnable))
print(any(type(finder).__module__.startswith("dashflow") for finder in sys.meta_path))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "True", "False", "False"]
    assert isinstance(greeter(), Runnable)


def test_it_is_a_part_of_sequences():
    graph = greeter()
    chain = RunnableLambda(lambda text: {"style": text}) | graph | (lambda state: state["greeting"])
    assert chain.invoke("rhyme") == "ahoy in rhyme"
    assert ({"style": lambda text: text} | graph).invoke("prose") == {"greeting": "ahoy in prose"}
    assert graph.pipe(lambda state: len(state["greeting"])).invoke({"style": "a"}) == 9
    assert graph.pick("greeting").invoke({"style": "b"}) == "ahoy in b"
    added = graph.assign(size=lambda state: len(state["greeting"]))
    assert added.invoke({"style": "c"}) == {"greeting": "ahoy in c", "size": 9}
    assert graph.map().invoke([{"style": "x"}, {"style": "y"}])[1] == {"greeting": "ahoy in y"}
    assert list(graph.transform(iter([{"style": "d"}]))) == [{"greet": {"greeting": "ahoy in d"}}]


async def test_it_is_a_part_of_sequences_under_asyncio():
    chain = RunnableLambda(lambda text: {"style": text}) | greeter()
    assert await chain.ainvoke("rhyme") == {"greeting": "ahoy in rhyme"}
    assert [part async for part in chain.astream("song")] == [{"greet": {"greeting": "ahoy in song"}}]


@pytest.mark.feature("RUN-05")
def test_it_is_run_again_by_with_retry():
    tries: list[int] = []

    def shaky(state: Any) -> Any:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError("not yet")
        return {"greeting": "at last"}

    graph = greeter(shaky).with_retry(stop_after_attempt=3, wait_exponential_jitter=False)
    assert graph.invoke({"style": ""}) == {"greeting": "at last"}
    assert len(tries) == 3


@pytest.mark.feature("RUN-06")
async def test_fallbacks_are_tried_in_order():
    def broken(state: Any) -> Any:
        raise KeyError(state["style"])

    graph = greeter(broken).with_fallbacks([greeter(broken), greeter()])
    assert graph.invoke({"style": "s"}) == {"greeting": "ahoy in s"}
    assert await graph.ainvoke({"style": "a"}) == {"greeting": "ahoy in a"}
    assert graph.batch([{"style": "b"}]) == [{"greeting": "ahoy in b"}]


def test_bound_config_and_arguments_reach_the_nodes():
    seen: list[Any] = []

    def look(state: Any, config: RunnableConfig) -> Any:
        seen.append((config["tags"], config["metadata"].get("who"), config["configurable"].get("key")))
        return {"greeting": ""}

    graph = greeter(look).with_config({"tags": ["bound"], "metadata": {"who": "me"}})
    graph.with_config(configurable={"key": 1}).invoke({"style": ""}, {"tags": ["given"]})
    assert seen == [(["bound", "given"], "me", 1)]
    parts = greeter().bind(stream_mode="values").stream({"style": "v"})
    assert list(parts)[-1]["greeting"] == "ahoy in v"


@pytest.mark.feature("RUN-09")
def test_a_batch_runs_as_many_beside_each_other_as_it_may():
    together = threading.Barrier(40)

    def meet(state: Any) -> Any:
        together.wait(60)
        return {"greeting": state["style"]}

    inputs = [{"style": str(number)} for number in range(200)]
    answers = greeter(meet).batch(inputs, {"max_concurrency": 40})
    assert [answer["greeting"] for answer in answers] == [str(number) for number in range(200)]


@pytest.mark.feature("RUN-09")
async def test_a_batch_runs_beside_each_other_under_asyncio():
    import asyncio

    together = asyncio.Barrier(200)

    async def meet(state: Any) -> Any:
        await together.wait()
        return {"greeting": state["style"]}

    inputs = [{"style": str(number)} for number in range(200)]
    answers = await greeter(meet).abatch(inputs)
    assert [answer["greeting"] for answer in answers] == [str(number) for number in range(200)]


@pytest.mark.feature("RUN-09")
async def test_a_batch_keeps_to_its_bound_and_returns_errors_where_they_belong():
    running: set[str] = set()
    most: list[int] = []

    def work(state: Any) -> Any:
        running.add(state["style"])
        most.append(len(running))
        running.discard(state["style"])
        if state["style"] == "1":
            raise KeyError("one")
        return {"greeting": state["style"]}

    inputs = [{"style": str(number)} for number in range(4)]
    answers = greeter(work).batch(inputs, {"max_concurrency": 1}, return_exceptions=True)
    assert [type(answer).__name__ for answer in answers] == ["dict", "KeyError", "dict", "dict"]
    assert max(most) == 1
    completed = greeter(work).batch_as_completed(inputs, return_exceptions=True)
    assert sorted((index, type(answer).__name__) for index, answer in completed) == [
        (0, "dict"),
        (1, "KeyError"),
        (2, "dict"),
        (3, "dict"),
    ]
    found = [index async for index, _ in greeter().abatch_as_completed(inputs)]
    assert sorted(found) == [0, 1, 2, 3]


@pytest.mark.feature("RUN-09")
def test_results_come_as_they_complete():
    first = threading.Event()

    def work(state: Any) -> Any:
        if state["style"] == "0":
            assert first.wait(60)
        return {"greeting": state["style"]}

    order = []
    for index, _ in greeter(work).batch_as_completed([{"style": "0"}, {"style": "1"}]):
        order.append(index)
        first.set()
    assert order == [1, 0]


class ToolCaller(GenericFakeChatModel):
    """Answers with a call of the first tool that it was given, and every argument of it filled."""

    def bind_tools(self, tools: Any, *, tool_choice: Any = None, **kwargs: Any) -> Any:
        from langchain_core.utils.function_calling import convert_to_openai_tool

        function = convert_to_openai_tool(tools[0])["function"]
        call = {
            "name": function["name"],
            "args": dict.fromkeys(function["parameters"]["properties"], "pirate"),
            "id": "call",
        }
        return type(self)(messages=iter([AIMessage("", tool_calls=[call])]))


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")  # of as_tool
@pytest.mark.feature("RUN-10")
def test_a_graph_is_a_tool_with_the_arguments_of_its_input():
    tool = greeter().as_tool(name="greeting_generator", description="Greets.")
    assert tool.args == {"style": {"title": "Style", "type": "string"}}
    answer = ToolCaller(messages=iter(())).bind_tools([tool]).invoke("Greet me like a pirate.")
    (call,) = answer.tool_calls
    assert tool.invoke(call["args"]) == {"greeting": "ahoy in pirate"}
    message = tool.invoke(call)
    assert json.loads(message.content) == {"greeting": "ahoy in pirate"}
    assert message.tool_call_id == "call"


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")  # of as_tool
@pytest.mark.feature("RUN-10", "RUN-16")
@pytest.mark.parametrize("where", ["chain", "graph"])
def test_langchains_standard_test_of_runnables_as_tools(where, monkeypatch):
    """LangChain's test as it is; and with a graph where it has a chain of prompt, model and parser."""

    class Suite(ChatModelIntegrationTests):
        @property
        def chat_model_class(self) -> Any:
            return ToolCaller

        @property
        def chat_model_params(self) -> dict[str, Any]:
            return {"messages": iter(())}

    if where == "graph":

        class Asked(TypedDict):
            answer_style: str

        class Answered(Asked):
            text: str

        def as_graph(parts: Any, last: Any) -> Any:
            chain = original(parts, last)
            if not isinstance(last, StrOutputParser):
                return chain
            builder = StateGraph(Answered, input_schema=Asked)
            builder.add_node("answer", chain | (lambda text: {"text": text}))
            return builder.add_edge(START, "answer").compile()

        from langchain_core.runnables import RunnableSequence

        original = RunnableSequence.__or__
        monkeypatch.setattr(RunnableSequence, "__or__", as_graph)
    suite = Suite()
    suite.test_bind_runnables_as_tools(ToolCaller(messages=iter(())))


def test_a_model_chain_is_a_node_and_a_graph_follows_a_prompt():
    model = GenericFakeChatModel(messages=iter([AIMessage("hello"), AIMessage("again")]))
    builder = StateGraph(MessagesState)
    builder.add_node("model", RunnableLambda(lambda s: s["messages"]) | model | (lambda m: {"messages": [m]}))
    graph = builder.add_edge(START, "model").compile()
    prompt = ChatPromptTemplate.from_messages([("human", "Say {word}")])
    chain = prompt | (lambda value: {"messages": value.to_messages()}) | graph
    said = chain.invoke({"word": "hello"})["messages"]
    assert [message.content for message in said] == ["Say hello", "hello"]


def test_what_langchain_adds_to_runnables_is_there_or_done_otherwise():
    own = {name for name in dir(greeter()) if not name.startswith("__")}
    asked = {name for name in vars(Runnable) if not name.startswith("_") and name not in vars(RunnableFace)}
    assert asked <= own
    assert greeter().config_specs == []
    assert greeter().get_name("Input") == "greeter_input"
    with pytest.raises(AttributeError, match="'CompiledStateGraph' object has no attribute 'nothing'"):
        _ = greeter().nothing
