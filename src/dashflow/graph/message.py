"""Messages in a state: ``add_messages``, ``MessagesState``, ``push_message``. LangChain loads when used."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from importlib import import_module
from operator import attrgetter
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeAlias, overload

from typing_extensions import TypedDict

from dashflow._util.langchain import AnyMessage, MessageLikeRepresentation
from dashflow._util.scope import require_scope

__all__ = ("REMOVE_ALL_MESSAGES", "MessageGraph", "MessagesState", "add_messages", "push_message")  # noqa: F822  # one is served below

Messages: TypeAlias = list[MessageLikeRepresentation] | MessageLikeRepresentation

REMOVE_ALL_MESSAGES: Final = "__remove_all__"
"""Id of a ``RemoveMessage`` that removes everything before it."""

_id_of = attrgetter("id")


class _LangChain(NamedTuple):
    """What of LangChain reducers need."""

    message: Any
    chunk: Any
    removal: Any
    convert: Callable[[Any], list[Any]]
    unchunk: Callable[[Any], Any]
    answer: Any


_langchain: _LangChain | None = None


def _load() -> _LangChain:
    global _langchain
    if _langchain is None:
        from langchain_core import messages

        _langchain = _LangChain(
            messages.BaseMessage,
            messages.BaseMessageChunk,
            messages.RemoveMessage,
            messages.convert_to_messages,
            messages.message_chunk_to_message,
            messages.ToolMessage,
        )
    return _langchain


@overload
def add_messages(
    left: Messages, right: Messages, *, format: Literal["langchain-openai"] | None = None
) -> Messages: ...


@overload
def add_messages(
    left: None = None, right: None = None, *, format: Literal["langchain-openai"] | None = None
) -> Callable[[Messages, Messages], Messages]: ...


def add_messages(
    left: Messages | None = None,
    right: Messages | None = None,
    *,
    format: Literal["langchain-openai"] | None = None,  # noqa: A002
) -> Messages | Callable[[Messages, Messages], Messages]:
    """Merge messages into a list of messages, by id: the reducer for a state's messages.

    A message whose id is in the list takes that place; others go to the end. A ``RemoveMessage`` takes the
    message of its id out, or, with the id ``REMOVE_ALL_MESSAGES``, everything before it. Messages may be
    given as LangChain takes them (objects, strings, pairs, dicts); those without an id get one.

    Args:
        left: The list, or one message.
        right: What to merge into it: a list, or one message.
        format: ``langchain-openai`` gives contents in OpenAI's form.

    Returns:
        A new list. Without ``left`` and ``right`` the reducer itself, with ``format`` set, so that it can
        stand in ``Annotated[list, add_messages(format=...)]``.

    Raises:
        ValueError: A ``RemoveMessage`` names an id that is not there; ``format`` is unknown; or only one of
            ``left`` and ``right`` is given.
    """
    if left is None or right is None:
        if left is not right:
            raise ValueError(
                "Must specify non-null arguments for both 'left' and 'right'. Only received: "
                f"'{'left' if right is None else 'right'}'."
            )
        return partial(add_messages, format=format)
    langchain = _load()
    merged = _merge(langchain, _coerce(langchain, left), _coerce(langchain, right))
    if format == "langchain-openai":
        return _in_openai_form(langchain, merged)
    if format:
        raise ValueError(f"Unrecognized {format=}. Expected one of 'langchain-openai', None.")
    return merged


class _Coerced(NamedTuple):
    """Messages with ids: the list, the ids in its order, the ids as a set."""

    items: list[Any]
    ids: list[str]
    known: set[str]


def _coerce(langchain: _LangChain, messages: Any) -> _Coerced:
    """``messages`` as a list of messages with ids: the same list if it is one already."""
    items = messages if isinstance(messages, list) else [messages]
    # A history is long and has few types: look at those, not at each message.
    for kind in set(map(type, items)):
        if not issubclass(kind, langchain.message) or issubclass(kind, langchain.chunk):
            items = [langchain.unchunk(message) for message in langchain.convert(items)]
            break
    ids = list(map(_id_of, items))
    known = set(ids)
    if None in known:
        for place, message in enumerate(items):
            if message.id is None:
                message.id = ids[place] = str(uuid.uuid4())
        known = set(ids)
    return _Coerced(items, ids, known)


def _merge(langchain: _LangChain, left: _Coerced, right: _Coerced) -> list[Any]:
    """The messages of ``right`` merged into a copy of ``left``."""
    removals = {place for place, message in enumerate(right.items) if isinstance(message, langchain.removal)}
    for place in sorted(removals, reverse=True):
        if right.ids[place] == REMOVE_ALL_MESSAGES:
            return right.items[place + 1 :]
    if not removals and len(right.known) == len(right.ids) and right.known.isdisjoint(left.known):
        return left.items + right.items
    merged = left.items.copy()
    places = dict(zip(left.ids, range(len(merged)), strict=True))
    removed: set[str] = set()
    for index, (message, message_id) in enumerate(zip(right.items, right.ids, strict=True)):
        place = places.get(message_id, -1)
        if index in removals:
            if place < 0:
                raise ValueError(
                    f"Attempting to delete a message with an ID that doesn't exist ('{message_id}')"
                )
            removed.add(message_id)
        elif place < 0:
            places[message_id] = len(merged)
            merged.append(message)
        else:
            removed.discard(message_id)
            merged[place] = message
    return [message for message in merged if message.id not in removed] if removed else merged


def _in_openai_form(langchain: _LangChain, messages: list[Any]) -> list[Any]:
    from langchain_core.messages import convert_to_openai_messages

    return langchain.convert(convert_to_openai_messages(messages))


def _messages_delta_reducer(state: list[Any], writes: list[Any]) -> list[Any]:
    """Merge a batch of writes into a list of messages, by id: the reducer for a ``DeltaChannel``.

    A write is a message, or a list of messages; batches may be joined or split without changing the
    result. Removing an unknown id does nothing; ids are not assigned and ``REMOVE_ALL_MESSAGES`` has no
    special meaning (``Overwrite`` does that for a ``DeltaChannel``).
    """
    langchain = _load()
    flat: list[Any] = []
    for write in writes:
        if isinstance(write, list):
            flat.extend(write)
        else:
            flat.append(write)
    coerced = state and isinstance(state[0], langchain.message)
    result: list[Any] = list(state) if coerced else langchain.convert(state)
    places = {known.id: place for place, known in enumerate(result) if known.id is not None}
    holes = False
    for message in langchain.convert(flat):
        place = places.get(message.id) if message.id is not None else None
        if message.id is not None and isinstance(message, langchain.removal):
            if place is not None:
                result[place] = None
                holes = True
                del places[message.id]
        elif place is not None:
            result[place] = message
        else:
            if message.id is not None:
                places[message.id] = len(result)
            result.append(message)
    return [kept for kept in result if kept is not None] if holes else result


class MessagesState(TypedDict):
    """A state with ``messages`` alone; inherit from it to add keys."""

    messages: Annotated[list[AnyMessage], add_messages]


def push_message(message: MessageLikeRepresentation, *, state_key: str | None = "messages") -> AnyMessage:
    """From inside a task: send a whole message to the ``messages`` stream and into the state.

    Args:
        message: The message; must have an id, so that the state replaces and does not repeat it.
        state_key: Key of the state's messages; None: only stream.

    Raises:
        ValueError: The message has no id.
        RuntimeError: No graph runs this code.
    """
    scope = require_scope("push_message()")
    (whole,) = _load().convert([message])
    if whole.id is None:
        raise ValueError("Message ID is required")
    scope.push_message(whole, state_key)
    pushed: AnyMessage = whole
    return pushed


def __getattr__(name: str) -> Any:
    """Serve ``MessageGraph``, which stands on the builder, and the builder on this file."""
    if name == "MessageGraph":
        return import_module("dashflow.graph.message_graph").MessageGraph
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
