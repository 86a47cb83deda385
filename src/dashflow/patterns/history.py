"""Long conversations: cut to what a model can read, summed up, or thinned out, without breaking them.

A cut never leaves the answer of a tool without its call, nor a call without its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dashflow._util.langchain import RunnableConfig
from dashflow.graph.message import REMOVE_ALL_MESSAGES
from dashflow.patterns.condition import Condition, attribute_of, type_of
from dashflow.patterns.routing import messages_of
from dashflow.patterns.transforms import difference

Count = Callable[[Any], int]
"""Tokens of one message."""

_SUMMARY = "summary"
_PROMPT = (
    "Sum up the conversation below in a few sentences. Keep names, numbers, decisions, open questions and "
    "what the user wants. Answer with the summary only."
)


def about_tokens(message: Any) -> int:
    """Tokens of a message, as LangChain estimates them without asking a model."""
    from langchain_core.messages.utils import count_tokens_approximately

    return count_tokens_approximately([message])


def units(messages: Sequence[Any]) -> list[list[Any]]:
    """Messages that belong together: a model's message and the answers of the tools it calls."""
    found: list[list[Any]] = []
    waiting: set[Any] = set()
    for message in messages:
        call = attribute_of(message, "tool_call_id") if type_of(message) == "tool" else None
        if call is not None and call in waiting and found:
            found[-1].append(message)
            continue
        calls = attribute_of(message, "tool_calls") or () if type_of(message) == "ai" else ()
        waiting = {made["id"] for made in calls}
        found.append([message])
    return found


def trim(
    messages: Sequence[Any],
    *,
    max_tokens: int | None = None,
    max_turns: int | None = None,
    count: Count = about_tokens,
    keep_system: bool = True,
) -> list[Any]:
    """The end of a conversation, as much as fits.

    It begins with a human message, if the part that fits has one. System messages at the beginning stay.
    Looks only at what it keeps, so that a long history costs no more than a short one.

    Args:
        messages: The conversation.
        max_tokens: Tokens that fit; the last message stays even when it alone has more.
        max_turns: Turns that fit; a turn is a human message and everything up to the next.
        count: Counts the tokens of one message.
        keep_system: Keep system messages at the beginning.

    Raises:
        ValueError: Neither bound is given, or one is negative.
    """
    if (max_tokens is None and max_turns is None) or min(max_tokens or 0, max_turns or 0) < 0:
        raise ValueError("trim() needs max_tokens or max_turns, and neither may be negative.")
    head = 0
    while keep_system and head < len(messages) and type_of(messages[head]) == "system":
        head += 1
    system = list(messages[:head])
    room = None if max_tokens is None else max_tokens - sum(map(count, system))
    start = _start(messages, head, room, max_turns, count)
    return [*system, *messages[start:]]


def _start(messages: Sequence[Any], head: int, room: int | None, turns: int | None, count: Count) -> int:
    """Where the part that fits begins."""
    start = human = len(messages)
    place, end = len(messages) - 1, len(messages)
    while place >= head:
        first = _unit_start(messages, place, head)
        if room is not None:
            room -= sum(map(count, messages[first : place + 1]))
            if room < 0 and start < end:
                break
        if turns is not None and turns == 0:
            break
        start = first
        if type_of(messages[first]) == "human":
            human = first
            turns = None if turns is None else turns - 1
        place = first - 1
    return human if human < end else start


def _unit_start(messages: Sequence[Any], place: int, head: int) -> int:
    """Where the unit that ends at ``place`` begins: answers of tools belong to what calls them."""
    first = place
    while first > head and type_of(messages[first]) == "tool":
        first -= 1
    return first


def trim_node(
    *,
    max_tokens: int | None = None,
    max_turns: int | None = None,
    count: Count = about_tokens,
    keep_system: bool = True,
    key: str = "messages",
) -> Callable[[Any], dict[str, Any]]:
    """A node that takes out of the state what ``trim`` would not keep."""

    def trim_messages(state: Any) -> dict[str, Any]:
        before = messages_of(state, key)
        after = trim(before, max_tokens=max_tokens, max_turns=max_turns, count=count, keep_system=keep_system)
        return {key: difference(before, after)}

    return trim_messages


def delete(messages: Sequence[Any], condition: Condition) -> list[Any]:
    """The update that takes out every message for which the condition holds.

    A model's message and the answers of the tools it calls go together: if one goes, all go.
    """
    from langchain_core.messages import RemoveMessage

    return [
        RemoveMessage(id=attribute_of(message, "id"))
        for unit in units(messages)
        if any(condition(message) for message in unit)
        for message in unit
    ]


def summarise_node(
    model: Any,
    *,
    max_tokens: int | None = None,
    max_turns: int | None = None,
    keep_turns: int = 1,
    prompt: str = _PROMPT,
    count: Count = about_tokens,
    key: str = "messages",
) -> Any:
    """A node that sums up the beginning of a conversation when it has become too long.

    The summary is a system message after those at the beginning, marked ``summary`` in its
    ``additional_kwargs``; the next one takes it in.

    Args:
        model: A chat model or Runnable from messages to a message or text.
        max_tokens: Sum up when there are more tokens.
        max_turns: Sum up when there are more turns.
        keep_turns: How many turns at the end stay as they are.
        prompt: What the model is told.
        count: Counts the tokens of one message.
        key: The state's key of messages.

    Raises:
        ValueError: Neither bound is given, or ``keep_turns`` is less than 1.
    """
    from langchain_core.messages import (
        BaseMessage,
        HumanMessage,
        RemoveMessage,
        SystemMessage,
        get_buffer_string,
    )

    from dashflow.pregel.callable import RunnableCallable

    if max_tokens is None and max_turns is None:
        raise ValueError("summarise_node() needs max_tokens or max_turns.")
    if keep_turns < 1:
        raise ValueError(f"summarise_node() must keep at least one turn, not {keep_turns}.")

    def parts(state: Any) -> tuple[list[Any], list[Any], list[Any]]:
        """System messages, what to sum up, what stays."""
        messages = messages_of(state, key)
        whole = trim(messages, max_tokens=max_tokens, max_turns=max_turns, count=count)
        if len(whole) == len(messages):
            return [], [], []
        kept = trim(messages, max_turns=keep_turns, keep_system=False)
        system: list[Any] = []
        old: list[Any] = []
        for message in messages[: len(messages) - len(kept)]:
            (system if type_of(message) == "system" and not is_summary(message) else old).append(message)
        return system, old, kept

    def asked(old: list[Any]) -> list[Any]:
        return [SystemMessage(prompt), HumanMessage(get_buffer_string(old))]

    def update(system: list[Any], kept: list[Any], answer: Any) -> dict[str, Any]:
        text = str(answer.text) if isinstance(answer, BaseMessage) else str(answer)
        summary = SystemMessage(
            f"Summary of the conversation so far: {text}", additional_kwargs={_SUMMARY: True}
        )
        return {key: [RemoveMessage(id=REMOVE_ALL_MESSAGES), *system, summary, *kept]}

    def summarise(state: Any, config: RunnableConfig) -> dict[str, Any]:
        system, old, kept = parts(state)
        return update(system, kept, model.invoke(asked(old), config)) if old else {}

    async def asummarise(state: Any, config: RunnableConfig) -> dict[str, Any]:
        system, old, kept = parts(state)
        return update(system, kept, await model.ainvoke(asked(old), config)) if old else {}

    return RunnableCallable(summarise, asummarise, name="summarise")


def is_summary(message: Any) -> bool:
    """Whether ``summarise_node`` wrote it."""
    return bool((attribute_of(message, "additional_kwargs") or {}).get(_SUMMARY))
