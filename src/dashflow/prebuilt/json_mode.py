"""JSON mode: a chat model whose answer is a value of the asked schema, or a typed error with its raw text.

An answer is read, repaired where that is certain, and checked. What does not fit goes back to the model with
the reason; a repair that may have lost something counts only when there is no attempt left.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeAlias, TypedDict, TypeVar

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, convert_to_messages
from langchain_core.prompt_values import PromptValue
from langchain_core.runnables import Runnable, RunnableConfig
from pydantic import TypeAdapter, ValidationError

from dashflow._util.drive import drive
from dashflow.errors import StructuredOutputError
from dashflow.prebuilt.json_repair import readings
from dashflow.prebuilt.json_schema import JsonSchema
from dashflow.pregel.callable import RunnableCallable
from dashflow.pregel.schemas import for_pydantic

__all__ = ("Answer", "JsonMode", "Target", "json_mode")

T = TypeVar("T")
_Ask: TypeAlias = Callable[[Sequence[BaseMessage], RunnableConfig], Awaitable[Any]]

_INSTRUCTION = (
    "Answer with one JSON value that fits this JSON Schema, and nothing else: no words around it, no code "
    "fence, no comments.\n{schema}"
)
_AGAIN = "That is not what was asked: {problem}. Answer again, with the corrected JSON value only."
_MOST_PROBLEMS = 5


class Answer(TypedDict):
    """What ``json_mode(..., include_raw=True)`` returns."""

    parsed: Any
    """The value."""
    raw: Any
    """The model's message, or text."""
    repairs: tuple[str, ...]
    """What was repaired in it, in words."""
    attempts: int
    """How often the model was asked."""


class Target(Generic[T]):
    """What an answer must be, and how to make it of JSON.

    Args:
        schema: A JSON Schema as a dict, or any type that pydantic knows: a model, TypedDict, dataclass,
            ``Literal``, ``list[int]``.

    Raises:
        ValueError: A JSON Schema with a keyword that cannot be checked.
    """

    def __init__(self, schema: Any) -> None:
        self._checker: JsonSchema | None = None
        self._adapter: TypeAdapter[Any] | None = None
        if isinstance(schema, dict):
            self._checker = JsonSchema(schema)
            self.json_schema: dict[str, Any] = schema
            self.name = str(schema.get("title", "JSON Schema"))
        else:
            self._adapter = TypeAdapter(for_pydantic(schema))
            self.json_schema = self._adapter.json_schema()
            self.name = getattr(schema, "__name__", str(schema))

    def fit(self, value: Any) -> tuple[Any, str]:
        """The value as the schema has it, and what is wrong with it; the empty text when nothing is."""
        if self._checker is not None:
            return value, _listed(self._checker.problems(value))
        assert self._adapter is not None
        try:
            return self._adapter.validate_json(json.dumps(value)), ""
        except ValidationError as error:
            found = (
                f"{'.'.join(map(str, part['loc'])) or 'answer'}: {part['msg']}" for part in error.errors()
            )
            return None, _listed(list(found))


def _listed(problems: list[str]) -> str:
    more = f"; and {len(problems) - _MOST_PROBLEMS} more" if len(problems) > _MOST_PROBLEMS else ""
    return "; ".join(problems[:_MOST_PROBLEMS]) + more


class JsonMode(RunnableCallable):
    """A ``Runnable`` from messages (or a text) to a value of a schema; see ``json_mode``."""

    def __init__(
        self, model: Runnable[Any, Any], schema: Any, *, attempts: int, instruct: bool, include_raw: bool
    ) -> None:
        super().__init__(self._func, self._afunc, name="JsonMode", recurse=False)
        self.model = model
        self.target: Target[Any] = Target(schema)
        self.attempts = attempts
        self.include_raw = include_raw
        self._instruction = (
            SystemMessage(_INSTRUCTION.format(schema=json.dumps(self.target.json_schema, ensure_ascii=False)))
            if instruct
            else None
        )

    def _func(self, input: Any, config: RunnableConfig) -> Any:  # noqa: A002
        async def ask(messages: Sequence[BaseMessage], config: RunnableConfig) -> Any:
            return self.model.invoke(messages, config)

        return drive(self._answer(ask, input, config))

    async def _afunc(self, input: Any, config: RunnableConfig) -> Any:  # noqa: A002
        return await self._answer(self.model.ainvoke, input, config)

    async def _answer(self, ask: _Ask, given: Any, config: RunnableConfig) -> Any:
        messages = _messages(given)
        if self._instruction is not None:
            # After a system message of the user's own: some providers take several only at the beginning.
            place = 1 if messages and messages[0].type == "system" else 0
            messages.insert(place, self._instruction)
        problems: list[str] = []
        while True:
            raw = await ask(messages, config)
            text = written(raw)
            parsed, repairs, problem = self.read(text, last=len(problems) + 1 >= self.attempts)
            if not problem:
                if not self.include_raw:
                    return parsed
                return Answer(parsed=parsed, raw=raw, repairs=repairs, attempts=len(problems) + 1)
            problems.append(problem)
            if len(problems) >= self.attempts:
                raise StructuredOutputError(self.target.name, text, tuple(problems))
            messages = [*messages, AIMessage(text), HumanMessage(_AGAIN.format(problem=problem))]

    def read(self, text: str, *, last: bool = True) -> tuple[Any, tuple[str, ...], str]:
        """The value in ``text``, what was repaired, and what is wrong; the empty text when nothing is.

        Args:
            text: What a model wrote.
            last: Accept a repair that may have lost something.
        """
        problem, lossy = "", None
        for reading in readings(text):
            value, wrong = self.target.fit(reading.value)
            if wrong:
                problem = problem or wrong
            elif not reading.lossy:
                return value, reading.repairs, ""
            elif lossy is None:
                lossy = (value, reading.repairs)
        if lossy is not None:
            value, repairs = lossy
            if last:
                return value, repairs, ""
            problem = f"the answer is incomplete ({', '.join(repairs)})"
        return None, (), problem or "there is no JSON in it"


def json_mode(
    model: Runnable[Any, Any],
    schema: Any,
    *,
    attempts: int = 3,
    instruct: bool = True,
    include_raw: bool = False,
) -> JsonMode:
    """A ``Runnable`` that asks ``model`` and returns a value of ``schema``, always.

    Args:
        model: A chat model or any ``Runnable`` from messages to a message or text.
        schema: JSON Schema as a dict, pydantic model, TypedDict, dataclass or other type; the value
            returned is of that type.
        attempts: How often to ask at most.
        instruct: Tell the model the schema in a system message; False when the prompt does already.
        include_raw: Return an ``Answer`` with the raw message and what was repaired.

    Raises:
        ValueError: ``attempts`` is less than 1, or the schema has a keyword that cannot be checked.

    Calling it raises ``StructuredOutputError`` when no attempt gave such a value.
    """
    if attempts < 1:
        raise ValueError(f"attempts must be at least 1, not {attempts}.")
    return JsonMode(model, schema, attempts=attempts, instruct=instruct, include_raw=include_raw)


def _messages(given: Any) -> list[BaseMessage]:
    if isinstance(given, PromptValue):
        return given.to_messages()
    if isinstance(given, dict) and "messages" in given:
        given = given["messages"]
    return convert_to_messages([given] if isinstance(given, str | BaseMessage) else given)


def written(raw: Any) -> str:
    """What a model wrote: its text; without one, the arguments of its tool call, also of a broken one."""
    if not isinstance(raw, BaseMessage):
        return raw if isinstance(raw, str) else json.dumps(raw)
    text = str(raw.text)
    if text.strip() or not isinstance(raw, AIMessage):
        return text
    if raw.tool_calls:
        return json.dumps(raw.tool_calls[0]["args"])
    return raw.invalid_tool_calls[0]["args"] or "" if raw.invalid_tool_calls else text
