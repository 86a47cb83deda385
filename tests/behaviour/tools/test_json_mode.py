"""JSON mode with LangChain's fake chat models: repaired, asked again, or refused with the raw text."""

import asyncio
import dataclasses
import datetime
import json
import pickle
from typing import Any, Literal, TypedDict

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from pydantic import BaseModel, Field

from dashflow.errors import StructuredOutputError
from dashflow.prebuilt.json_mode import json_mode

pytestmark = pytest.mark.feature("RUN-12")


class Scripted(BaseChatModel):
    """Answers from a list, and remembers what it was asked."""

    answers: list[Any]
    asked: list[list[BaseMessage]] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        answer = self.answers[len(self.asked)]
        self.asked.append(list(messages))
        message = answer if isinstance(answer, AIMessage) else AIMessage(answer)
        return ChatResult(generations=[ChatGeneration(message=message)])


class Model(BaseModel):
    name: str
    born: datetime.date
    age: int = Field(ge=0)


class Typed(TypedDict):
    name: str
    born: datetime.date
    age: int


@dataclasses.dataclass
class Data:
    name: str
    born: datetime.date
    age: int


SCHEMA = {
    "title": "Person",
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "born": {"type": "string"},
        "age": {"type": "integer", "minimum": 0},
    },
    "required": ["name", "born", "age"],
}
GOOD = '{"name": "Ada", "born": "1815-12-10", "age": 36}'
BORN = datetime.date(1815, 12, 10)
WANTED = {
    Model: Model(name="Ada", born=BORN, age=36),
    Typed: {"name": "Ada", "born": BORN, "age": 36},
    Data: Data("Ada", BORN, 36),
    "schema": {"name": "Ada", "born": "1815-12-10", "age": 36},
}


@pytest.fixture(params=["sync", "async"])
def ask(request):
    """Run it, in either world."""
    if request.param == "sync":
        return lambda runnable, given, **kw: runnable.invoke(given, **kw)
    return lambda runnable, given, **kw: asyncio.run(runnable.ainvoke(given, **kw))


@pytest.mark.parametrize("kind", WANTED)
def test_the_value_is_of_the_type_that_was_asked_for(ask, kind):
    schema = SCHEMA if kind == "schema" else kind
    model = Scripted(answers=[f"Of course:\n```json\n{GOOD[:-1]},}}\n```"])
    assert ask(json_mode(model, schema), "Who was Ada?") == WANTED[kind]
    (asked,) = model.asked
    assert "born" in asked[0].content
    assert asked[1] == HumanMessage("Who was Ada?")


def test_the_model_is_asked_again_with_the_reason(ask):
    model = Scripted(answers=['{"name": "Ada", "born": "1815-12-10", "age": -1}', "Sorry!", GOOD])
    found = ask(json_mode(model, Model, include_raw=True), [("system", "Be brief."), ("user", "Ada?")])
    assert found["parsed"] == WANTED[Model]
    assert found["attempts"] == 3
    assert found["raw"].content == GOOD
    first, second, third = model.asked
    assert [message.type for message in first] == ["system", "system", "human"]
    assert [message.type for message in second] == ["system", "system", "human", "ai", "human"]
    assert "age: Input should be greater than or equal to 0" in second[-1].content
    assert "there is no JSON in it" in third[-1].content


def test_after_the_last_attempt_comes_a_typed_error_with_the_raw_text(ask):
    model = Scripted(answers=["I won't.", "I really won't."])
    with pytest.raises(StructuredOutputError, match="asked 2 times for JSON of the schema 'Model'") as caught:
        ask(json_mode(model, Model, attempts=2), "Ada?")
    assert caught.value.raw == "I really won't."
    assert len(caught.value.problems) == 2
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.raw, again.code) == ("I really won't.", "STRUCTURED_OUTPUT")


def test_an_answer_that_was_cut_off_counts_only_when_no_attempt_is_left(ask):
    class Note(BaseModel):
        text: str

    cut, whole = '{"text": "The quick br', '{"text": "The quick brown fox"}'
    assert ask(json_mode(Scripted(answers=[cut, whole]), Note), "?").text == "The quick brown fox"
    model = Scripted(answers=[cut, cut])
    found = ask(json_mode(model, Note, attempts=2, include_raw=True), "?")
    assert found["parsed"].text == "The quick br"
    assert found["repairs"] == ("cut off",)
    assert "incomplete" in model.asked[1][-1].content


def test_of_several_values_the_one_that_fits_is_taken(ask):
    text = 'An example is {"name": "x"}, but the answer is ' + GOOD
    assert ask(json_mode(Scripted(answers=[text]), SCHEMA), "?")["name"] == "Ada"


def test_arguments_of_a_tool_call_are_an_answer(ask):
    args = json.loads(GOOD)
    called = AIMessage("", tool_calls=[{"name": "Person", "args": args, "id": "1", "type": "tool_call"}])
    broken = AIMessage(
        "",
        invalid_tool_calls=[
            {"name": "P", "args": GOOD[:-1] + ",}", "id": "1", "error": None, "type": "invalid_tool_call"}
        ],
    )
    for answer in (called, broken):
        assert ask(json_mode(Scripted(answers=[answer]), SCHEMA), "?") == args


def test_it_is_a_runnable_in_a_chain_and_in_batches(ask):
    chain = ChatPromptTemplate.from_messages([("user", "Pick for {what}")]) | json_mode(
        Scripted(answers=["red", '"red"']), Literal["red", "green"]
    )
    assert ask(chain, {"what": "a rose"}) == "red"
    one = json_mode(Scripted(answers=["[1, 2]", "[3]"]), list[int], instruct=False)
    assert one.batch(["a", "b"], {"max_concurrency": 1}) == [[1, 2], [3]]


def test_what_cannot_be_checked_is_refused_at_once():
    with pytest.raises(ValueError, match="attempts must be at least 1"):
        json_mode(Scripted(answers=[]), Model, attempts=0)
    with pytest.raises(ValueError, match="cannot be checked"):
        json_mode(Scripted(answers=[]), {"unevaluatedItems": False})
