"""Every middleware of ``langchain.agents.middleware`` on DashFlow, each doing its one thing."""

import gc
import shutil
from typing import Any

import pytest
from langchain.agents.middleware import (
    AutoModeMiddleware,
    ClearToolUsesEdit,
    ContextEditingMiddleware,
    FilesystemFileSearchMiddleware,
    HostExecutionPolicy,
    LLMToolEmulator,
    LLMToolSelectorMiddleware,
    ModelCallLimitMiddleware,
    ModelChoice,
    ModelFallbackMiddleware,
    ModelRefusalMiddleware,
    ModelRetryMiddleware,
    ModelRouterMiddleware,
    PIIDetectionError,
    PIIMiddleware,
    ProviderToolSearchMiddleware,
    RedactionRule,
    ShellToolMiddleware,
    SummarizationMiddleware,
    TodoListMiddleware,
    ToolCallLimitMiddleware,
    ToolErrorMiddleware,
    ToolRetryMiddleware,
)
from langchain.agents.middleware.model_call_limit import ModelCallLimitExceededError
from langchain.agents.middleware.tool_call_limit import ToolCallLimitExceededError
from langchain.tools import tool
from langchain_core.decisions import BaseDecisionModel
from langchain_core.decisions.types import ChoiceAnswer, ClassifierResponse, NoulAnswer
from langchain_core.exceptions import ModelRefusalError
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda

pytestmark = [
    pytest.mark.feature("MIGRATE-002", "RUN-02"),
    # AutoMode and ModelRouter are in beta, and say so.
    pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning"),
]


class Counter:
    """How often a tool ran."""

    def __init__(self) -> None:
        self.n = 0


@pytest.fixture
def ran() -> Counter:
    return Counter()


@pytest.fixture
def look(ran):
    @tool
    def look(where: str) -> str:
        """Look somewhere."""
        ran.n += 1
        return f"seen {where}"

    return look


@pytest.fixture
def flaky(ran):
    @tool
    def flaky(times: int) -> str:
        """Fails some times."""
        ran.n += 1
        if ran.n <= times:
            raise ConnectionError(f"try {ran.n}")
        return "at last"

    return flaky


class Judge(BaseDecisionModel):
    """A decision model that answers by the words in what it is shown."""

    model: str = "judge"

    @property
    def _provider(self) -> str:
        return "fake"

    def _classify(self, state: Any, questions: dict[str, Any]) -> ClassifierResponse:
        answers: dict[str, Any] = {}
        for name, question in questions.items():
            if question.type == "noul":
                answers[name] = NoulAnswer(type="noul", noul=0.9 if "danger" in str(state) else 0.1)
            else:
                choice = "deep" if "think" in str(state) else "fast"
                answers[name] = ChoiceAnswer(
                    type="choice", choice=choice, probabilities={choice: 1}, confidence=1
                )
        return ClassifierResponse(model="judge", answers=answers)


# -- models ----------------------------------------------------------------------------------------------


def test_model_fallback(place, make):
    spare = make.model("from the spare")
    agent = place.agent(ConnectionError("down"), middleware=[ModelFallbackMiddleware(spare)])
    assert make.texts(agent.ask("hi")) == ["hi", "from the spare"]


def test_model_retry(place, make):
    retry = ModelRetryMiddleware(max_retries=2, initial_delay=0, jitter=False)
    agent = place.agent(ConnectionError("1"), ConnectionError("2"), "third time", middleware=[retry])
    assert make.texts(agent.ask("hi")) == ["hi", "third time"]
    assert len(agent.model.seen) == 3


def test_model_retry_says_when_it_gives_up(place, make):
    retry = ModelRetryMiddleware(max_retries=1, initial_delay=0, jitter=False)
    agent = place.agent(ConnectionError("1"), ConnectionError("2"), middleware=[retry])
    assert "ConnectionError" in make.texts(agent.ask("hi"))[-1]


def test_model_refusal(place):
    refused = AIMessage([{"type": "refusal", "refusal": "I will not."}])
    agent = place.agent(refused, middleware=[ModelRefusalMiddleware()])
    with pytest.raises(ModelRefusalError):
        agent.ask("do it")


def test_model_router(place, make):
    fast, deep = make.model("quick"), make.model("thorough")
    router = ModelRouterMiddleware(
        choices={
            "fast": ModelChoice(model=fast, criteria="simple"),
            "deep": ModelChoice(model=deep, criteria="hard"),
        },
        instructions="Choose.",
        classifier=Judge(),
    )
    agent = place.agent("never", middleware=[router])
    assert make.texts(agent.ask("hello"))[-1] == "quick"
    assert make.texts(agent.ask("think hard", thread="u"))[-1] == "thorough"
    assert agent.state("u").values["model_route"].choice == "deep"


def test_model_call_limit_in_a_run_ends_it(place, make, look):
    limit = ModelCallLimitMiddleware(run_limit=2)
    agent = place.agent(
        *[make.calls("look", where="here") for _ in range(4)], tools=[look], middleware=[limit]
    )
    assert "limit" in make.texts(agent.ask("go"))[-1]
    assert len(agent.model.seen) == 2
    agent.ask("again")
    assert len(agent.model.seen) == 4


def test_model_call_limit_in_a_thread_is_remembered(place):
    limit = ModelCallLimitMiddleware(thread_limit=1, exit_behavior="error")
    agent = place.agent("one", "two", middleware=[limit])
    agent.ask("first")
    with pytest.raises(ModelCallLimitExceededError):
        agent.ask("second")
    agent.ask("first", thread="u")


# -- tools -----------------------------------------------------------------------------------------------


def test_tool_retry(place, make, flaky, ran):
    retry = ToolRetryMiddleware(max_retries=3, initial_delay=0, jitter=False)
    agent = place.agent(make.calls("flaky", times=2), "ok", tools=[flaky], middleware=[retry])
    assert make.texts(agent.ask("go"))[2] == "at last"
    assert ran.n == 3


def test_tool_retry_inside_tool_error(place, make, flaky, ran):
    error = ToolErrorMiddleware(
        lambda problem, request: f"{request.tool_call['name']}: {type(problem).__name__}"
    )
    retry = ToolRetryMiddleware(max_retries=1, initial_delay=0, jitter=False, on_failure="error")
    agent = place.agent(make.calls("flaky", times=9), "sorry", tools=[flaky], middleware=[error, retry])
    result = agent.ask("go")
    assert (result["messages"][2].text, result["messages"][2].status) == ("flaky: ConnectionError", "error")
    assert ran.n == 2


def test_tool_call_limit_blocks_further_calls(place, make, look, ran):
    limit = ToolCallLimitMiddleware(tool_name="look", run_limit=1)
    agent = place.agent(make.calls("look", "look", where="x"), "done", tools=[look], middleware=[limit])
    tools = [message for message in agent.ask("go")["messages"] if message.type == "tool"]
    assert sorted(message.status for message in tools) == ["error", "success"]
    assert ran.n == 1


def test_tool_call_limit_in_a_thread(place, make, look):
    limit = ToolCallLimitMiddleware(thread_limit=1, exit_behavior="error")
    agent = place.agent(
        make.calls("look", where="x"), "one", make.calls("look", where="y"), tools=[look], middleware=[limit]
    )
    agent.ask("first")
    with pytest.raises(ToolCallLimitExceededError):
        agent.ask("second")


def test_tool_call_limit_ends_the_run(place, make, look, ran):
    limit = ToolCallLimitMiddleware(run_limit=1, exit_behavior="end")
    agent = place.agent(*[make.calls("look", where="x") for _ in range(3)], tools=[look], middleware=[limit])
    assert make.kinds(agent.ask("go"))[-2:] == ["tool", "ai"]
    assert ran.n == 1


def test_tool_emulator(place, make, look, ran):
    emulator = LLMToolEmulator(tools=["look"], model=make.model("imagined"))
    agent = place.agent(make.calls("look", where="x"), "ok", tools=[look], middleware=[emulator])
    assert make.texts(agent.ask("go"))[2] == "imagined"
    assert ran.n == 0


def test_tool_selector(place, make, look, flaky):
    def choose(messages: list[Any]) -> AIMessage:
        return make.calls("ToolSelectionResponse", tools=["look"])

    chooser = make.model(choose, choose)
    selector = LLMToolSelectorMiddleware(model=chooser, max_tools=1)
    agent = place.agent(make.calls("look", where="x"), "ok", tools=[look, flaky], middleware=[selector])
    assert make.texts(agent.ask("go"))[-1] == "ok"
    assert agent.model.bound == [["look"], ["look"]]


def test_auto_mode(place, make, look, ran):
    auto = AutoModeMiddleware(tools=["look"], classifier=Judge())
    agent = place.agent(
        make.calls("look", where="home"),
        make.calls("look", where="danger"),
        "ok",
        tools=[look],
        middleware=[auto],
    )
    tools = [message.status for message in agent.ask("go")["messages"] if message.type == "tool"]
    assert tools == ["success", "error"]
    assert ran.n == 1


def test_provider_tool_search(place, make, look, flaky):
    search = ProviderToolSearchMiddleware(searchable_tools=["flaky"])
    agent = place.agent(model=make.model("ok", provider="openai"), tools=[look, flaky], middleware=[search])
    agent.ask("go")
    assert agent.model.bound == [["look", "flaky", "tool_search"]]
    with pytest.raises(ValueError, match="provider"):
        place.agent("ok", tools=[look, flaky], middleware=[search]).ask("go", thread="u")


def test_todo_list(place, make):
    todos = [{"content": "sow", "status": "in_progress"}, {"content": "reap", "status": "pending"}]
    agent = place.agent(make.calls("write_todos", todos=todos), "planned", middleware=[TodoListMiddleware()])
    assert agent.ask("plan")["todos"] == todos
    assert agent.state().values["todos"] == todos
    assert "write_todos" in agent.model.seen[0][0].text


@pytest.mark.filterwarnings(
    # LangChain's shell session leaves the pipes of its process to the garbage collector, on LangGraph too.
    "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_shell_tool(place, make, tmp_path):
    shell = ShellToolMiddleware(
        workspace_root=tmp_path,
        startup_commands=["export WHO=ada"],
        execution_policy=HostExecutionPolicy(command_timeout=60),
        redaction_rules=(RedactionRule(pii_type="email"),),
    )
    agent = place.agent(
        make.calls("shell", command="echo $WHO >who; cd ."),
        make.calls(
            "shell", command="cat who; echo mail ada@example.org; exit_code() { return 3; }; exit_code"
        ),
        "done",
        middleware=[shell],
    )
    result = agent.ask("go")
    assert (tmp_path / "who").read_text() == "ada\n"
    said = result["messages"][4]
    assert "ada" in said.text
    assert "example.org" not in said.text
    assert said.artifact["exit_code"] == 3
    del agent, shell, result, said
    gc.collect()  # here, so that the warning is not another test's


def test_file_search(place, make, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "one.md").write_text("milk\n")
    (tmp_path / "two.txt").write_text("bread and milk\n")
    search = FilesystemFileSearchMiddleware(
        root_path=str(tmp_path), use_ripgrep=shutil.which("rg") is not None
    )
    agent = place.agent(
        make.calls("glob_search", pattern="**/*.md"),
        make.calls("grep_search", pattern="milk", output_mode="content"),
        "found",
        middleware=[search],
    )
    texts = make.texts(agent.ask("go"))
    assert "/notes/one.md" in texts[2]
    assert "two.txt" not in texts[2]
    assert "bread and milk" in texts[4]


# -- the conversation --------------------------------------------------------------------------------------


def test_summarization(place, make):
    brief = make.model("they counted to three")
    agent = place.agent(
        "one",
        "two",
        "three",
        middleware=[SummarizationMiddleware(brief, trigger=("messages", 5), keep=("messages", 1))],
    )
    for number in ("1", "2"):
        agent.ask(number)
    result = agent.ask("3")
    assert "they counted to three" in result["messages"][0].text
    assert make.texts(result)[1:] == ["3", "three"]
    assert make.texts(agent.state().values) == make.texts(result)


def test_context_editing(place, make, look):
    edit = ClearToolUsesEdit(trigger=1, keep=1, placeholder="[gone]")
    agent = place.agent(
        make.calls("look", where="a"),
        make.calls("look", where="b"),
        "ok",
        tools=[look],
        middleware=[ContextEditingMiddleware(edits=[edit])],
    )
    result = agent.ask("go")
    shown = [message.text for message in agent.model.seen[-1] if message.type == "tool"]
    assert shown == ["[gone]", "seen b"]
    assert [message.text for message in result["messages"] if message.type == "tool"] == ["seen a", "seen b"]


@pytest.mark.parametrize(
    ("strategy", "shown"),
    [("redact", "[REDACTED_EMAIL]"), ("mask", "ada@****"), ("hash", "<email_hash:")],
)
def test_pii_is_not_shown_to_the_model(place, make, strategy, shown):
    agent = place.agent("thanks", middleware=[PIIMiddleware("email", strategy=strategy)])
    result = agent.ask("I am ada@example.org")
    assert shown in agent.model.seen[0][0].text
    assert "example.org" not in agent.model.seen[0][0].text
    assert shown in make.texts(result)[0]


def test_pii_in_answers_and_tool_results(place, make, look):
    hide = PIIMiddleware("ip", apply_to_output=True, apply_to_tool_results=True)
    agent = place.agent(
        make.calls("look", where="10.1.2.3"), "it is 10.1.2.3", tools=[look], middleware=[hide]
    )
    assert make.texts(agent.ask("go"))[2:] == ["seen [REDACTED_IP]", "it is [REDACTED_IP]"]


def test_pii_blocks(place):
    agent = place.agent("never", middleware=[PIIMiddleware("email", strategy="block")])
    with pytest.raises(PIIDetectionError):
        agent.ask("ada@example.org")
    assert agent.model.seen == []


def test_several_at_once(place, make, look, ran):
    agent = place.agent(
        ConnectionError("down"),
        make.calls("look", where="ada@example.org"),
        "all done",
        tools=[look],
        middleware=[
            TodoListMiddleware(),
            PIIMiddleware("email", apply_to_tool_results=True),
            ModelRetryMiddleware(max_retries=1, initial_delay=0, jitter=False),
            ToolRetryMiddleware(max_retries=1, initial_delay=0, jitter=False),
            ModelCallLimitMiddleware(run_limit=5),
            ToolCallLimitMiddleware(run_limit=5),
            ContextEditingMiddleware(),
        ],
    )
    assert make.texts(agent.ask("go"))[2:] == ["seen [REDACTED_EMAIL]", "all done"]
    assert ran.n == 1
    chained = RunnableLambda(lambda text: {"messages": [("user", text)]}) | place.agent("chained").graph
    assert make.texts(place.call(chained, "invoke", "hi", agent.config("v"))) == ["hi", "chained"]
