"""Approvals by people (``HumanInTheLoopMiddleware``) on DashFlow: pauses, decisions, streams, sub-agents."""

from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import (
    HumanInTheLoopMiddleware,
    PIIMiddleware,
    SummarizationMiddleware,
    configure_trace_policy,
    omit_payload,
)
from langchain.agents.middleware.types import AgentMiddleware, TracePolicy
from langchain.tools import tool
from langgraph.types import Command

pytestmark = [
    pytest.mark.feature("MIGRATE-002", "RUN-02", "HIL-001"),
    # The event stream is in beta, and says so.
    pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning"),
]

ALL = {"allowed_decisions": ["approve", "edit", "reject", "respond"]}


class Mail:
    """What was sent."""

    def __init__(self) -> None:
        self.sent: list[str] = []


@pytest.fixture
def mail() -> Mail:
    return Mail()


@pytest.fixture
def send(mail):
    @tool
    def send(to: str) -> str:
        """Send a mail."""
        mail.sent.append(to)
        return f"sent to {to}"

    return send


@pytest.fixture
def peek():
    @tool
    def peek(to: str) -> str:
        """Look into a mailbox."""
        return f"{to} has mail"

    return peek


def decide(*decisions: Any) -> Command:
    """The answer to a batched question."""
    return Command(resume={"decisions": list(decisions)})


@pytest.fixture
def paused(place, make, send):
    """An agent that asked whether it may send."""
    agent = place.agent(
        make.calls("send", to="bob"),
        "finished",
        tools=[send],
        middleware=[HumanInTheLoopMiddleware({"send": ALL})],
    )
    result = agent.ask("mail bob")
    return agent, result


def test_a_call_waits_for_a_decision(paused, mail):
    agent, result = paused
    (asked,) = result["__interrupt__"]
    (request,) = asked.value["action_requests"]
    assert (request["name"], request["args"]) == ("send", {"to": "bob"})
    assert asked.value["review_configs"][0]["allowed_decisions"] == ALL["allowed_decisions"]
    assert mail.sent == []
    assert agent.state().interrupts == (asked,)
    assert agent.state().next == ("HumanInTheLoopMiddleware.after_model",)


@pytest.mark.parametrize(
    ("decision", "sent", "said"),
    [
        ({"type": "approve"}, ["bob"], "sent to bob"),
        ({"type": "edit", "edited_action": {"name": "send", "args": {"to": "eve"}}}, ["eve"], "sent to eve"),
        ({"type": "reject", "message": "not today"}, [], "not today"),
        ({"type": "respond", "message": "I told him myself"}, [], "I told him myself"),
    ],
)
def test_decisions(paused, mail, make, decision, sent, said):
    agent, _ = paused
    result = agent.ask(decide(decision))
    assert mail.sent == sent
    assert said in next(message.text for message in result["messages"] if message.type == "tool")
    assert make.texts(result)[-1] == "finished"
    assert agent.state().interrupts == ()


def test_a_decision_that_is_not_allowed(place, make, send, mail):
    only = HumanInTheLoopMiddleware({"send": {"allowed_decisions": ["approve"]}})
    agent = place.agent(make.calls("send", to="bob"), tools=[send], middleware=[only])
    agent.ask("mail bob")
    with pytest.raises(ValueError, match="is not allowed for tool 'send'"):
        agent.ask(decide({"type": "reject"}))
    assert mail.sent == []


def test_several_calls_are_decided_together_and_others_are_not_asked_about(place, make, send, peek, mail):
    agent = place.agent(
        make.calls("send", "peek", "send", to="bob"),
        "finished",
        tools=[send, peek],
        middleware=[HumanInTheLoopMiddleware({"send": True, "peek": False})],
    )
    (asked,) = agent.ask("go")["__interrupt__"]
    assert len(asked.value["action_requests"]) == 2
    result = agent.ask(decide({"type": "approve"}, {"type": "reject", "message": "once is enough"}))
    tools = [message.text for message in result["messages"] if message.type == "tool"]
    assert sorted(tools)[1:] == ["bob has mail", "sent to bob"]
    assert "once is enough" in sorted(tools)[0]
    assert mail.sent == ["bob"]


def test_too_few_decisions(place, make, send, mail):
    agent = place.agent(
        make.calls("send", "send", to="bob"),
        tools=[send],
        middleware=[HumanInTheLoopMiddleware({"send": True})],
    )
    agent.ask("go")
    with pytest.raises(ValueError, match=r"\(1\) does not match"):
        agent.ask(decide({"type": "approve"}))
    assert mail.sent == []


def test_only_some_calls_are_asked_about(place, make, send, mail):
    ask = {**ALL, "when": lambda request: request.tool_call["args"]["to"] == "eve"}
    agent = place.agent(
        make.calls("send", to="bob"),
        "fine",
        tools=[send],
        middleware=[HumanInTheLoopMiddleware({"send": ask})],
    )
    assert make.texts(agent.ask("go"))[-1] == "fine"
    assert mail.sent == ["bob"]


def test_calls_are_asked_about_one_by_one(place, make, send, mail):
    agent = place.agent(
        make.calls("send", "send", to="bob"),
        "finished",
        tools=[send],
        middleware=[HumanInTheLoopMiddleware({"send": ALL}, interrupt_mode="per_call")],
    )
    asked = agent.ask("go")["__interrupt__"]
    assert [question.value["type"] for question in asked] == ["tool_approval"] * 2
    assert mail.sent == []
    result = agent.ask(
        Command(resume={asked[0].id: {"type": "approve"}, asked[1].id: {"type": "reject", "message": "no"}})
    )
    assert mail.sent == ["bob"]
    assert make.texts(result)[-1] == "finished"


def test_the_pause_is_streamed(place, make, send):
    agent = place.agent(
        make.calls("send", to="bob"),
        "finished",
        tools=[send],
        middleware=[HumanInTheLoopMiddleware({"send": ALL})],
    )
    first = agent.stream("go", stream_mode="updates")
    assert [next(iter(part)) for part in first] == ["model", "__interrupt__"]
    rest = agent.stream(decide({"type": "approve"}), stream_mode="updates")
    hook = "HumanInTheLoopMiddleware.after_model"
    assert [next(iter(part)) for part in rest] == [hook, "tools", "model", hook]


def test_a_pause_inside_a_sub_agent(place, make, send, mail):
    helper = create_agent(
        make.model(make.calls("send", to="bob"), "helper is done"),
        [send],
        middleware=[HumanInTheLoopMiddleware({"send": ALL})],
        name="helper",
    )

    @tool("helper")
    def help_out(task: str) -> str:
        """Hand over."""
        return helper.invoke({"messages": [("user", task)]})["messages"][-1].text

    @tool("helper")
    async def ahelp_out(task: str) -> str:
        """Hand over."""
        return (await helper.ainvoke({"messages": [("user", task)]}))["messages"][-1].text

    agent = place.agent(
        make.calls("helper", task="mail bob"),
        "all done",
        tools=[help_out if place.runner is None else ahelp_out],
    )
    (asked,) = agent.ask("go")["__interrupt__"]
    assert asked.value["action_requests"][0]["name"] == "send"
    result = agent.ask(decide({"type": "approve"}))
    assert mail.sent == ["bob"]
    assert make.texts(result)[2:] == ["helper is done", "all done"]


# -- the event stream ----------------------------------------------------------------------------------


def events(place: Any, agent: Any, given: Any) -> tuple[list[str], Any, bool]:
    """What the messages of a run said, what it put out, whether it paused."""
    given, config = agent.given(given), agent.config("t")
    if place.runner is None:
        run = agent.graph.stream_events(given, config, version="v3")
        said = [str(message.text) for message in run.messages]
        return said, run.output, run.interrupted

    async def collect() -> tuple[list[str], Any, bool]:
        run = await agent.graph.astream_events(given, config, version="v3")
        said = [str(await message.text) async for message in run.messages]
        return said, await run.output(), await run.interrupted()

    return place.runner.run(collect())


def test_the_event_stream_says_that_the_run_paused(place, make, send, mail):
    agent = place.agent(
        make.calls("send", to="bob"),
        "finished",
        tools=[send],
        middleware=[HumanInTheLoopMiddleware({"send": ALL})],
    )
    _, _, interrupted = events(place, agent, "go")
    assert interrupted
    said, output, interrupted = events(place, agent, decide({"type": "approve"}))
    assert (said, interrupted, mail.sent) == (["finished"], False, ["bob"])
    assert make.texts(output)[-1] == "finished"


def test_personal_data_does_not_leave_through_the_event_stream(place, make):
    agent = place.agent(
        "write to ada@example.org today", middleware=[PIIMiddleware("email", apply_to_output=True)]
    )
    said, output, _ = events(place, agent, "whom?")
    assert said == ["write to [REDACTED_EMAIL] today"]
    assert make.texts(output)[-1] == "write to [REDACTED_EMAIL] today"


def test_internal_model_calls_stay_out_of_the_event_stream(place, make):
    brief = SummarizationMiddleware(
        make.model("so far: nothing"), trigger=("messages", 3), keep=("messages", 1)
    )
    agent = place.agent("one", "two", middleware=[brief])
    agent.ask("first")
    said, output, _ = events(place, agent, "second")
    assert said[-1] == "two"
    assert "so far: nothing" not in said
    assert "so far: nothing" in make.texts(output)[0]


# -- what is traced ------------------------------------------------------------------------------------


def test_a_trace_policy_does_not_change_a_run(place, make):
    class Quiet(AgentMiddleware):
        trace_policy = TracePolicy(process_inputs=omit_payload)

        def before_model(self, state, runtime):
            return None

    configure_trace_policy(TracePolicy(process_outputs=omit_payload))
    try:
        agent = place.agent("hello", middleware=[Quiet()])
        assert make.texts(agent.ask("hi")) == ["hi", "hello"]
    finally:
        configure_trace_policy(None)
