"""The ``messages`` mode: what chat models write and nodes return, as parts ``(message, metadata)``.

May not know the engine: parts leave through the function that a handler was made with. Imported when a run
streams messages, not before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, TypeAlias
from uuid import UUID, uuid4

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, LLMResult

from dashflow.constants import TAG_HIDDEN
from dashflow.pregel.listener import Put, StreamListener
from dashflow.types import Command

__all__ = ("Origin", "StreamMessagesHandler", "user_tags")

Origin: TypeAlias = tuple[tuple[str, ...], dict[str, Any]]
"""Where a message comes from: the graph's namespace, and the metadata of the call."""


class StreamMessagesHandler(StreamListener):
    """Shows the chunks that chat models write, and whole messages that nodes return, each once.

    A message that has been shown, or that a node was given, is known by its id and not shown again.

    Args:
        stream: Takes the parts.
        subgraphs: Whether to show what happens in the graph's subgraphs.
        parent_ns: Namespace of the graph that is streamed.
    """

    def __init__(self, stream: Put, subgraphs: bool, *, parent_ns: tuple[str, ...] | None = None) -> None:
        super().__init__(stream, subgraphs, parent_ns=parent_ns)
        self.metadata: dict[UUID, Origin] = {}
        self.seen: set[str] = set()

    def _emit(self, origin: Origin, message: BaseMessage, *, dedupe: bool = False) -> None:
        if dedupe and message.id in self.seen:
            return
        if message.id is None:
            message.id = str(uuid4())
        self.seen.add(message.id)
        self.stream((origin[0], "messages", (message, origin[1])))

    def show(self, message: BaseMessage, metadata: dict[str, Any]) -> None:
        """Show a whole message that a task with this metadata pushes, also when it was shown before."""
        place = self._place(metadata, None)
        if place is not None:
            self._emit((place, metadata), message)

    # -- chat models --------------------------------------------------------------------------

    def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: list[list[BaseMessage]],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """A model is called: remember where, if it is to be shown."""
        place = self._place(metadata, tags)
        if place is None or metadata is None:
            return
        if shown := user_tags(tags):
            metadata["tags"] = shown
        self.metadata[run_id] = (place, metadata)

    def on_llm_new_token(
        self,
        token: Any,
        *,
        chunk: Any = None,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        **kwargs: Any,
    ) -> Any:
        """A model wrote something: a chunk of text, or of tool calls with index, id and partial arguments."""
        if isinstance(chunk, ChatGenerationChunk) and (origin := self.metadata.get(run_id)):
            self._emit(origin, chunk.message)

    def on_llm_end(
        self, response: LLMResult, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> Any:
        """A model is done: show its message, if nothing was shown of it while it wrote."""
        origin = self.metadata.pop(run_id, None)
        if origin is not None and response.generations and response.generations[0]:
            generation = response.generations[0][0]
            if isinstance(generation, ChatGeneration):
                self._written(origin, generation.message, run_id)

    def _written(self, origin: Origin, message: BaseMessage, run_id: UUID) -> None:
        self._emit(origin, message, dedupe=True)

    def on_llm_error(
        self, error: BaseException, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> Any:
        """A model failed."""
        self.metadata.pop(run_id, None)

    # -- nodes --------------------------------------------------------------------------------

    def on_chain_start(
        self,
        serialized: dict[str, Any],
        inputs: dict[str, Any],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """A node starts: the messages in its input are not news."""
        if not metadata or kwargs.get("name") != metadata.get("langgraph_node"):
            return
        if tags and TAG_HIDDEN in tags:
            return
        place = self._place(metadata, None)
        if place is None:
            return
        self.metadata[run_id] = (place, metadata)
        self.seen.update(message.id for message in _held(inputs) if message.id is not None)

    def on_chain_end(
        self, outputs: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> Any:
        """A node is done: show the messages it returned."""
        origin = self.metadata.pop(run_id, None)
        if origin is not None:
            for message in _returned(outputs):
                self._returned(origin, message)

    def _returned(self, origin: Origin, message: BaseMessage) -> None:
        self._emit(origin, message, dedupe=True)

    def on_chain_error(
        self, error: BaseException, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> Any:
        """A node failed."""
        self.metadata.pop(run_id, None)


def user_tags(tags: Sequence[str] | None) -> list[str]:
    """The tags without those that LangChain gives the steps of a sequence."""
    return [tag for tag in tags or () if not tag.startswith("seq:step")]


def _returned(output: Any) -> Iterator[BaseMessage]:
    """The messages in what a node returned: a state, messages, a command, or a list with commands in it."""
    if isinstance(output, Command):
        yield from _returned(output.update)
    elif isinstance(output, BaseMessage):
        yield output
    elif _is_list(output):
        commands = any(isinstance(item, Command) for item in output)
        for item in output:
            if isinstance(item, BaseMessage):
                yield item
            elif commands:
                yield from _returned(item)
    else:
        yield from _held(output)


def _held(state: Any) -> Iterator[BaseMessage]:
    """The messages that a state's fields hold, alone or in lists."""
    for value in _fields(state):
        if isinstance(value, BaseMessage):
            yield value
        elif _is_list(value):
            yield from (item for item in value if isinstance(item, BaseMessage))


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _fields(state: Any) -> Sequence[Any]:
    """The values of a dict, a pydantic model or a dataclass."""
    if isinstance(state, dict):
        return list(state.values())
    if names := getattr(type(state), "model_fields", None):
        return [getattr(state, name) for name in names]
    if is_dataclass(state) and not isinstance(state, type):
        return [getattr(state, field.name) for field in fields(state)]
    return ()
