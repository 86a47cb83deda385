"""What tools return, as the graph takes it: contents of messages, checks of commands, joint updates."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any, Literal, TypeAlias

from langchain_core.messages import RemoveMessage, ToolCall, ToolMessage, convert_to_messages
from langchain_core.tools.base import TOOL_MESSAGE_BLOCK_TYPES

from dashflow.graph.message import REMOVE_ALL_MESSAGES
from dashflow.prebuilt.tool_call import Answer
from dashflow.types.commands import Command, Send

InputForm: TypeAlias = Literal["list", "dict", "tool_calls"]
"""How the node was called: with messages, with a state, or with tool calls."""


def msg_content_output(output: Any) -> str | list[dict[str, Any]]:
    """``output`` as the content of a message: texts and content blocks as they are, the rest as JSON, or as
    ``str`` shows it."""
    if isinstance(output, str):
        return output
    if isinstance(output, list) and all(
        isinstance(block, dict) and block.get("type") in TOOL_MESSAGE_BLOCK_TYPES for block in output
    ):
        return output
    try:
        return json.dumps(output, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return str(output)


class Responses:
    """Checks and joins what tools return.

    Args:
        key: The state's key of messages.
    """

    __slots__ = ("key",)

    def __init__(self, key: str) -> None:
        self.key = key

    def checked(self, response: Any, call: ToolCall, form: InputForm) -> Answer | list[Answer]:
        """A tool's response, made fit for the graph.

        Raises:
            TypeError: It is neither a message, a command nor a list of these.
            ValueError: A command's update does not fit, or no message answers the call.
        """
        if isinstance(response, Command):
            return self._command(response, call, form, terminates=True)
        if isinstance(response, ToolMessage):
            return _message(response)
        if not isinstance(response, list):
            raise TypeError(f"Tool {call['name']} returned unexpected type: {type(response)}")
        if not all(isinstance(part, Command | ToolMessage) for part in response):
            raise TypeError(
                f"Tool {call['name']} returned a list with invalid element types: "
                "expected all Command or ToolMessage"
            )
        answers = sum(self._answers(part, call["id"]) for part in response)
        if answers != 1:
            raise ValueError(
                f"Tool {call['name']} returned a list with {answers} messages bound to tool_call_id "
                f"{call['id']!r}; expected exactly one terminating ToolMessage."
            )
        return [
            self._command(part, call, form, terminates=False) if isinstance(part, Command) else _message(part)
            for part in response
        ]

    def _answers(self, part: Answer, call_id: str | None) -> int:
        """How many messages in ``part`` answer the call."""
        messages: Sequence[Any] = ()
        if isinstance(part, ToolMessage):
            messages = (part,)
        elif isinstance(part.update, dict):
            messages = part.update.get(self.key, ())
        return sum(isinstance(m, ToolMessage) and m.tool_call_id == call_id for m in messages)

    def _command(
        self, command: Command[Any], call: ToolCall, form: InputForm, *, terminates: bool
    ) -> Command[Any]:
        update = command.update
        if not isinstance(update, dict | list):
            return command
        if isinstance(update, dict) and form == "list":
            raise ValueError(
                "Tools can provide a dict in Command.update only when using dict "
                f"with '{self.key}' key as ToolNode input, got: {update} for tool '{call['name']}'"
            )
        if isinstance(update, list) and form != "list":
            raise ValueError(
                "Tools can provide a list of messages in Command.update only when using list of messages "
                f"as ToolNode input, got: {update} for tool '{call['name']}'"
            )
        command = deepcopy(command)
        update = command.update
        written: Any = update.get(self.key, []) if isinstance(update, dict) else update
        messages = convert_to_messages(written)
        if messages == [RemoveMessage(id=REMOVE_ALL_MESSAGES)]:
            return command
        matching = [m for m in messages if isinstance(m, ToolMessage) and m.tool_call_id == call["id"]]
        for message in matching:
            message.name = call["name"]
        if terminates and command.graph is None and not matching:
            raise ValueError(_unanswered(call, messages, form))
        return command

    def joined(self, answers: Sequence[Answer | list[Answer]], form: InputForm) -> Any:
        """All answers as one update: messages together when there are only messages; else a list of
        commands and messages, in which packets for the parent graph are one command, at the end."""
        flat: list[Answer] = []
        for answer in answers:
            flat.extend(answer if isinstance(answer, list) else [answer])
        if not any(isinstance(answer, Command) for answer in flat):
            return flat if form == "list" else {self.key: flat}
        out: list[Any] = []
        upwards: Command[Any] | None = None
        for answer in flat:
            if not isinstance(answer, Command):
                out.append([answer] if form == "list" else {self.key: [answer]})
            elif _only_sends_upwards(answer):
                known = upwards.goto if upwards is not None else []
                upwards = replace(Command(graph=Command.PARENT), goto=[*known, *answer.goto])  # type: ignore[misc]
            else:
                out.append(answer)
        return out if upwards is None else [*out, upwards]


def _message(message: ToolMessage) -> ToolMessage:
    message.content = msg_content_output(message.content)  # type: ignore[assignment]  # list is invariant
    return message


def _only_sends_upwards(command: Command[Any]) -> bool:
    return (
        command.graph == Command.PARENT
        and isinstance(command.goto, list)
        and all(isinstance(target, Send) for target in command.goto)
    )


def _unanswered(call: ToolCall, messages: Sequence[Any], form: InputForm) -> str:
    inner = '[ToolMessage("Success", tool_call_id=tool_call_id), ...]'
    example = f'{{"messages": {inner}}}' if form == "dict" else inner
    return (
        f"Expected to have a matching ToolMessage in Command.update for tool '{call['name']}', "
        f"got: {messages}. Every tool call (LLM requesting to call a tool) in the message history "
        "MUST have a corresponding ToolMessage. You can fix it by modifying the tool to return "
        f"`Command(update={example}, ...)`."
    )
