"""Planning by a chat model: one question, one more try with the problem named, then a typed error."""

import subprocess
import sys

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage

from dashflow.errors import ModelError, PlanAnswerError, UsageError
from dashflow.log.memory import MemoryLog
from dashflow.planner import RunStatus, TaskKind
from dashflow.planner.core.events import PlannerConfig
from dashflow.planner.executors.base import Completed
from dashflow.planner.planning import PlanningRequest
from dashflow.planner.runs import PlanRequest, PlanRuns
from dashflow.planner.understand import SYSTEM_PROMPT, ModelPlanner, chat_model

pytestmark = pytest.mark.feature("PLAN-03")

GOOD = """```json
{"tasks": [{"id": "look", "description": "Find TODO comments", "kind": "analysis"},
           {"id": "tell", "description": "Write a report", "kind": "processing", "dependencies": ["look"]}]}
```"""

UNKNOWN = '[{"id": "a", "description": "do", "dependencies": ["ghost"]}]'
CYCLE = (
    '[{"id": "a", "description": "do", "dependencies": ["b"]}, {"id": "b", "description": "x", "after": "a"}]'
)


class Asked(GenericFakeChatModel):
    """A fake chat model that keeps what it was asked."""

    def _generate(self, messages, *rest, **more):
        SEEN.append(messages)
        return super()._generate(messages, *rest, **more)


SEEN: list = []


@pytest.fixture(autouse=True)
def _forget():
    SEEN.clear()


def planner(*answers):
    return ModelPlanner(Asked(messages=iter(answers)))


def request(**fields):
    return PlanningRequest(**{"goal": "Find the TODOs", **fields})


def test_a_good_answer_is_the_plan():
    proposal = planner(GOOD).plan(request(folder="/code"))
    assert [(task.id, task.kind) for task in proposal.tasks] == [
        ("look", TaskKind.ANALYSIS),
        ("tell", TaskKind.PROCESSING),
    ]
    assert proposal.tasks[0].params == {"checks": [{"check": "markers", "markers": ["TODO"]}]}
    assert proposal.tasks[1].optional_dependencies == ("look",)
    assert proposal.planner == "Asked"
    system, human = SEEN[0]
    assert system.content == SYSTEM_PROMPT
    for words in ("Find the TODOs", "/code"):
        assert words in human.content


def test_the_system_prompt_can_be_another():
    planner(GOOD).plan(request(config=PlannerConfig(system_prompt="Plan like a sailor.")))
    assert SEEN[0][0].content == "Plan like a sailor."


def test_an_answer_in_parts_is_put_together():
    parts = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": GOOD[:50]}, GOOD[50:]]
    assert len(planner(AIMessage(content=parts)).plan(request()).tasks) == 2


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ("I cannot do that.", "no JSON"),
        ("", "empty"),
        ("[]", "no JSON"),
        ("[1]", "task 1 is int"),
        ('[{"id": "a"}]', "no description"),
        (UNKNOWN, "'ghost'"),
        (CYCLE, "a -> b -> a"),
        ('{"tasks": "find"}', "no JSON"),
    ],
)
def test_a_bad_answer_is_asked_for_again_with_its_problem_and_then_refused(bad, problem):
    assert len(planner(bad, GOOD).plan(request()).tasks) == 2
    again = SEEN[1]
    assert [message.type for message in again] == ["system", "human", "ai", "human"]
    assert problem in again[-1].content
    with pytest.raises(PlanAnswerError, match=problem) as caught:
        planner(bad, bad, GOOD).plan(request())
    assert caught.value.data["answer"] == bad
    assert "--model" in str(caught.value)


def test_what_the_handler_rejected_is_told():
    planner(GOOD).plan(request(problem="two tasks of one id"))
    assert "two tasks of one id" in SEEN[0][1].content


def test_a_model_that_cannot_be_reached_is_no_bad_plan():
    class Away:
        def invoke(self, messages):
            raise ConnectionError("no route to host")

    with pytest.raises(ModelError, match="no route to host"):
        ModelPlanner(Away()).plan(request())


class Quick:
    kinds = frozenset(TaskKind)

    def execute(self, execution):
        return Completed({})


def test_a_run_planned_by_a_model_is_recorded_as_such():
    runs = PlanRuns(MemoryLog(), executors=[Quick()], planning=planner(GOOD))
    state = runs.run(runs.accept(PlanRequest("Find the TODOs")))
    assert (state.status, state.planned_by) == (RunStatus.COMPLETED, "Asked")
    assert list(state.tasks) == ["look", "tell"]


def test_an_answer_that_is_no_plan_fails_the_run_and_runs_nothing():
    runs = PlanRuns(MemoryLog(), executors=[Quick()], planning=planner("no", "no", "no", "no"))
    state = runs.run(runs.accept(PlanRequest("Find the TODOs")))
    assert (state.status, state.error_code, state.tasks) == (RunStatus.FAILED, "PLAN_ANSWER", {})


def test_a_model_that_cannot_be_reached_leaves_the_run_to_be_resumed():
    class Away:
        def invoke(self, messages):
            raise ConnectionError("no route to host")

    log = MemoryLog()
    runs = PlanRuns(log, executors=[Quick()], planning=ModelPlanner(Away()))
    run = runs.accept(PlanRequest("Find the TODOs"))
    with pytest.raises(ModelError):
        runs.run(run)
    assert runs.unfinished() == [run]
    again = PlanRuns(log, executors=[Quick()], planning=planner(GOOD))
    assert again.run(run).status is RunStatus.COMPLETED


def without(monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)


def test_without_langchain_the_error_names_the_packages_and_nothing_is_accepted(monkeypatch):
    without(monkeypatch, "langchain.chat_models")
    with pytest.raises(UsageError, match="pip install langchain langchain-openai"):
        chat_model("openai:gpt-5")
    log = MemoryLog()
    with pytest.raises(UsageError, match="langchain-google-genai"):
        PlanRuns(log, executors=[]).accept(PlanRequest("do it", model="google_genai:x"))
    assert log.streams() == []


class FakeLangChain:
    """Stands in for the package that is not installed here."""

    def __init__(self, error=None):
        self.error = error

    def init_chat_model(self, name):
        if self.error:
            raise self.error
        return GenericFakeChatModel(messages=iter([GOOD]))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ImportError("Unable to import langchain_openai. pip install langchain-openai"), "langchain-openai"),
        (ValueError("Unsupported provider"), "provider:model"),
        (RuntimeError("the api_key must be set"), "key in the environment"),
    ],
)
def test_a_model_that_cannot_be_set_up_is_said_before_anything_is_accepted(monkeypatch, error, words):
    monkeypatch.setitem(sys.modules, "langchain.chat_models", FakeLangChain(error))
    log = MemoryLog()
    with pytest.raises(UsageError, match=words):
        PlanRuns(log, executors=[]).accept(PlanRequest("do it", model="openai:gpt-5"))
    assert log.streams() == []


def test_a_named_model_plans(monkeypatch):
    monkeypatch.setitem(sys.modules, "langchain.chat_models", FakeLangChain())
    runs = PlanRuns(MemoryLog(), executors=[Quick()])
    state = runs.run(runs.accept(PlanRequest("do it", model="openai:gpt-5")))
    assert (state.status, state.planned_by) == (RunStatus.COMPLETED, "openai:gpt-5")


def test_planning_by_rules_loads_no_langchain():
    program = (
        "import sys; from dashflow.planner.runs import PlanRuns, PlanRequest; "
        "from dashflow.log.memory import MemoryLog; "
        "runs = PlanRuns(MemoryLog(), executors=[]); runs.run(runs.accept(PlanRequest('Run the tests'))); "
        "tops = {name.partition('.')[0] for name in sys.modules}; "
        "print(sorted(tops & {'langchain', 'langchain_core', 'pydantic'}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
