"""RunnableCallable: a function as LangChain's Runnable, with what the running task lends."""

import asyncio
from inspect import signature
from typing import Optional

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages.tool import ToolOutputMixin
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda, RunnableParallel
from langchain_core.runnables.config import var_child_runnable_config

from dashflow._util.scope import CURRENT
from dashflow.errors import NodeError
from dashflow.graph import START, StateGraph
from dashflow.pregel.callable import RunnableCallable, coerce_to_runnable
from dashflow.runtime import Runtime
from dashflow.store.base import BaseStore
from dashflow.types import Command, StreamWriter

pytestmark = pytest.mark.feature("RUN-02")


class Trace(BaseCallbackHandler):
    """What callbacks are told."""

    def __init__(self):
        self.told = []

    def on_chain_start(
        self, serialized, inputs, *, run_id, parent_run_id=None, tags=None, name=None, **kwargs
    ):
        self.told.append(("start", name, parent_run_id is not None, tags))

    def on_chain_end(self, outputs, **kwargs):
        self.told.append(("end", outputs))

    def on_chain_error(self, error, **kwargs):
        self.told.append(("error", str(error)))


@pytest.fixture(params=["sync", "async"])
def run(request):
    """Build a Runnable of one function and run it, in either world."""

    def go(function, given, config=None, **options):
        if request.param == "sync":
            return RunnableCallable(function, **options).invoke(given, config)

        async def afunction(*args, **kwargs):
            return function(*args, **kwargs)

        afunction.__signature__ = signature(function)
        afunction.__name__ = function.__name__
        return asyncio.run(RunnableCallable(None, afunction, **options).ainvoke(given, config))

    return go


def lent(runtime):
    return {"configurable": {"__pregel_runtime": runtime}}


RUNTIME = Runtime(context="ctx", store="store", stream_writer=print, previous=7)


def test_parameters_are_filled_from_the_configs_runtime(run):
    def function(x, config: RunnableConfig, writer: StreamWriter, store, previous: int, runtime: Runtime):
        return (
            x,
            config["configurable"]["__pregel_runtime"] is RUNTIME,
            writer,
            store,
            previous,
            runtime.context,
        )

    assert run(function, 1, lent(RUNTIME)) == (1, True, print, "store", 7, "ctx")


def test_without_a_runtime_only_what_has_a_default_is_filled(run):
    def function(x, writer: StreamWriter, error: NodeError = "unset"):
        return writer(x), error

    assert run(function, 1) == (None, None)
    with pytest.raises(ValueError, match="Missing required config key 'N/A' for 'wants_runtime'"):
        run(wants_runtime, 1)


def wants_runtime(x, runtime):
    return runtime


def test_what_is_annotated_as_something_else_is_left_alone(run):
    def function(x, store: int = 3, writer: int = 4, error: int = 5):
        return store, writer, error

    assert run(function, 1, lent(RUNTIME)) == (3, 4, 5)
    with pytest.warns(UserWarning, match="should be typed as 'RunnableConfig'"):
        RunnableCallable(typed_wrongly)


def typed_wrongly(x, config: int = 3):
    return config


def test_config_may_be_optional(run):
    def function(x, config: Optional[RunnableConfig] = None):  # noqa: UP045
        return config["tags"]

    assert run(function, 1, {"tags": ["a"]}) == ["a"]


@pytest.mark.parametrize("hint", ["RunnableConfig | None", "Optional[RunnableConfig]", RunnableConfig | None])
def test_config_may_be_optional_in_every_spelling(hint):
    def function(x, config=None):
        return config["tags"]

    function.__annotations__["config"] = hint
    assert RunnableCallable(function).invoke(1, {"tags": ["a"]}) == ["a"]


@pytest.mark.parametrize("hint", ["BaseStore | None", "Optional[BaseStore]", BaseStore | None])
def test_an_optional_store_may_be_missing(hint):
    def function(x, store):
        return store

    function.__annotations__["store"] = hint
    assert RunnableCallable(function).invoke(1) is None
    assert RunnableCallable(function).invoke(1, lent(RUNTIME)) == "store"


def test_a_store_of_langchain_is_the_callers_business():
    from langchain_core.stores import BaseStore as Other

    def function(x, store: Other = 1):
        return store

    assert RunnableCallable(function).invoke(1, lent(RUNTIME)) == 1


def test_a_writer_that_nobody_hears_gives_way_to_one_that_somebody_does():
    def function(x, writer):
        return writer

    silent = Runtime(stream_writer=RunnableCallable(function).invoke(1))
    assert RUNTIME.merge(silent).stream_writer is print


def test_given_keyword_arguments_win(run):
    assert run(wants_runtime, 1, lent(RUNTIME), runtime="mine") == "mine"


def test_callbacks_are_told_and_the_config_holds_inside(run):
    trace, before = Trace(), var_child_runnable_config.get()

    def function(x):
        inner = var_child_runnable_config.get()
        return RunnableLambda(lambda y: y + 1).invoke(x), inner["tags"]

    config = {"callbacks": [trace], "tags": ["t"], "run_name": "mine"}
    assert run(function, 1, config, tags=["own"]) == (2, ["t"])
    assert trace.told == [
        ("start", "mine", False, ["t", "own"]),
        ("start", "RunnableLambda", True, ["own", "t"]),
        ("end", 2),
        ("end", (2, ["t"])),
    ]
    assert var_child_runnable_config.get() is before


def test_an_error_is_told_and_raised(run):
    trace = Trace()

    def function(x):
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        run(function, 1, {"callbacks": [trace]})
    assert trace.told[-1] == ("error", "gone")
    with pytest.raises(LookupError):
        run(function, 1, {"callbacks": [trace]}, trace=False)
    assert len(trace.told) == 2


def test_a_runnable_that_is_returned_is_run(run):
    assert run(lambda x: RunnableLambda(lambda y: y * 2), 4) == 8
    assert isinstance(run(lambda x: RunnableLambda(lambda y: y), 4, recurse=False), Runnable)


def test_arguments_may_be_exploded(run):
    assert run(lambda a, b, c: (a, b, c), ((1, 2), {"c": 3}), explode_args=True) == (1, 2, 3)


def test_which_function_serves_which_call():
    async def only_async(x):
        return x

    with pytest.raises(TypeError, match='No synchronous function provided to "only_async"'):
        RunnableCallable(None, only_async).invoke(1)
    assert asyncio.run(RunnableCallable(lambda x: x + 1).ainvoke(1)) == 2
    with pytest.raises(ValueError, match="At least one of func or afunc"):
        RunnableCallable(None)
    assert RunnableCallable(lambda x: x).name is None
    assert repr(RunnableCallable(wants_runtime, tags=["a"])).startswith("wants_runtime(tags=['a']")


def test_in_a_graph_the_running_task_lends(run):
    seen = []

    def function(x, runtime, config: RunnableConfig):
        seen.append((runtime.context, config["metadata"]["langgraph_node"], CURRENT.get().runtime is runtime))

    def node(state):
        run(function, 1)
        return {}

    builder = StateGraph(dict)
    builder.add_node("n", node)
    builder.add_edge(START, "n")
    builder.compile().invoke({}, context="ctx")
    assert seen == [("ctx", "n", True)]


def test_everything_runnable_becomes_a_runnable():
    async def coroutine(x):
        return x + 1

    def generator(x):
        yield x
        yield x

    same = RunnableLambda(len)
    assert coerce_to_runnable(same, name=None, trace=False) is same
    assert asyncio.run(coerce_to_runnable(coroutine, name="c", trace=True).ainvoke(1)) == 2
    threaded = coerce_to_runnable(lambda x: x + 1, name=None, trace=False)
    assert (threaded.invoke(1), asyncio.run(threaded.ainvoke(1))) == (2, 2)
    assert coerce_to_runnable(generator, name=None, trace=False).invoke(2) == 4
    assert isinstance(coerce_to_runnable({"a": len}, name=None, trace=False), RunnableParallel)
    with pytest.raises(TypeError, match="unsupported type"):
        coerce_to_runnable(3, name=None, trace=False)


def test_a_command_is_a_tools_output_to_langchain():
    assert isinstance(Command(goto="x"), ToolOutputMixin)
