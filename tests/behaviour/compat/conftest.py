"""Agents of the package ``langchain`` on DashFlow: the alias, a scripted model, and where agents run.

Importing this file installs the alias for the whole test process, before anything can load the LangGraph that
``langchain`` brings along. Knows LangChain; no test here may import ``dashflow``: programs would not.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import dashflow.compat

dashflow.compat.install()

from langchain.agents import create_agent  # noqa: E402
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel  # noqa: E402
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage  # noqa: E402
from langchain_core.outputs import ChatGenerationChunk, ChatResult  # noqa: E402
from langgraph.checkpoint.memory import InMemorySaver  # noqa: E402
from langgraph.checkpoint.sqlite import SqliteSaver  # noqa: E402
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver  # noqa: E402

Reply = str | AIMessage | Exception | Callable[[list[BaseMessage]], AIMessage]


class Model(GenericFakeChatModel):
    """Says its replies one after the other; remembers what it was asked and with which tools.

    An exception among the replies is raised; a function makes its message from what the model was asked.
    """

    seen: list[list[BaseMessage]]
    bound: list[list[str]]
    provider: str = "fake"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        self.seen.append(list(messages))
        reply = next(self.messages)
        if isinstance(reply, Exception):
            raise reply
        self.messages = itertools.chain([reply(messages) if callable(reply) else reply], self.messages)
        return super()._generate(messages, *args, **kwargs)

    def _stream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        reply = next(self.messages)
        self.messages = itertools.chain([reply], self.messages)
        if isinstance(reply, AIMessage) and reply.tool_calls:
            message = self._generate(messages).generations[0].message
            yield ChatGenerationChunk(
                message=AIMessageChunk(
                    content=message.content,
                    tool_calls=message.tool_calls,
                    id=message.id,
                    chunk_position="last",
                )
            )
        else:
            yield from super()._stream(messages, *args, **kwargs)

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> "Model":
        self.bound.append([tool["type"] if isinstance(tool, dict) else tool.name for tool in tools])
        return self

    def _get_ls_params(self, *args: Any, **kwargs: Any) -> Any:
        return {"ls_provider": self.provider, "ls_model_type": "chat"}


def model(*replies: Reply, **fields: Any) -> Model:
    """A model with these replies."""
    return Model(messages=iter(replies), seen=[], bound=[], **fields)


_number = itertools.count()


def calls(*names: str, **arguments: Any) -> AIMessage:
    """A message that calls tools, each with the same arguments."""
    return AIMessage(
        "", tool_calls=[{"name": name, "args": arguments, "id": f"call-{next(_number)}"} for name in names]
    )


class Place:
    """One way of running with one saver."""

    def __init__(self, mode: str, saver: str, folder: Path) -> None:
        self.runner = asyncio.Runner() if mode == "asyncio" else None
        self._close: list[Callable[[], Any]] = []
        self.saver = self._open(saver, str(folder / "threads.db"))

    def _open(self, saver: str, path: str) -> Any:
        if saver == "memory":
            return InMemorySaver()
        if self.runner is None:
            manager = SqliteSaver.from_conn_string(path)
            self._close.append(lambda: manager.__exit__(None, None, None))
            return manager.__enter__()
        runner, amanager = self.runner, AsyncSqliteSaver.from_conn_string(path)
        self._close.append(lambda: runner.run(amanager.__aexit__(None, None, None)))
        return runner.run(amanager.__aenter__())

    def close(self) -> None:
        for close in self._close:
            close()
        if self.runner is not None:
            self.runner.close()

    def agent(self, *replies: Reply, tools: Sequence[Any] = (), **options: Any) -> "Agent":
        """``create_agent`` with a model that says ``replies``."""
        speaker = options.pop("model", None) or model(*replies)
        options.setdefault("checkpointer", self.saver)
        return Agent(self, speaker, create_agent(speaker, list(tools), **options))

    def call(self, runnable: Any, method: str, *given: Any, **options: Any) -> Any:
        """The method, or under asyncio its ``a`` twin."""
        if self.runner is None:
            return getattr(runnable, method)(*given, **options)
        return self.runner.run(getattr(runnable, f"a{method}")(*given, **options))

    def gather(self, runnable: Any, method: str, *given: Any, **options: Any) -> list[Any]:
        """Everything that an iterating method yields."""
        if self.runner is None:
            return list(getattr(runnable, method)(*given, **options))

        async def collect(parts: AsyncIterator[Any]) -> list[Any]:
            return [part async for part in parts]

        return self.runner.run(collect(getattr(runnable, f"a{method}")(*given, **options)))


class Agent:
    """An agent, its model, and short ways to talk to it."""

    def __init__(self, place: Place, speaker: Model, graph: Any) -> None:
        self.place, self.model, self.graph = place, speaker, graph

    @staticmethod
    def given(given: Any) -> Any:
        return {"messages": [("user", given)]} if isinstance(given, str) else given

    @staticmethod
    def config(thread: str) -> Any:
        return {"configurable": {"thread_id": thread}}

    def ask(self, given: Any, thread: str = "t", **options: Any) -> dict[str, Any]:
        """One run; a string is what the user says."""
        return self.place.call(self.graph, "invoke", self.given(given), self.config(thread), **options)

    def stream(self, given: Any, thread: str = "t", **options: Any) -> list[Any]:
        return self.place.gather(self.graph, "stream", self.given(given), self.config(thread), **options)

    def state(self, thread: str = "t") -> Any:
        return self.place.call(self.graph, "get_state", self.config(thread))


@pytest.fixture(params=[f"{mode}-{saver}" for mode in ("sync", "asyncio") for saver in ("memory", "sqlite")])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Sync and asyncio, in memory and in a SQLite file."""
    mode, saver = request.param.split("-")
    here = Place(mode, saver, tmp_path)
    yield here
    here.close()


@pytest.fixture
def make() -> Any:
    """The functions with which tests write what models say."""

    class Make:
        model = staticmethod(model)
        calls = staticmethod(calls)
        texts = staticmethod(lambda result: [message.text for message in result["messages"]])
        kinds = staticmethod(lambda result: [message.type for message in result["messages"]])

    return Make
