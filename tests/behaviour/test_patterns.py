"""Conversations of several agents, on every host and with every saver."""

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from dashflow.constants import END, START
from dashflow.graph import MessagesState, StateGraph
from dashflow.patterns import (
    ConversationState,
    History,
    broadcast,
    calls_tool,
    choice_of,
    contains,
    debate,
    handoff_tool,
    last,
    route_messages,
    seen_through,
    speaker,
    summarise_node,
    supervise,
    swarm,
    take_turns,
    trim_node,
)
from dashflow.prebuilt import ToolNode, tools_condition

patterns = pytest.mark.feature("MSG-003")
HELLO = {"messages": [HumanMessage("hello", id="0")]}


def says(world, name):
    """An agent that says its name and how many messages it sees."""
    return world.node(lambda state: {"messages": [AIMessage(f"{name} {len(state['messages'])}", name=name)]})


def said(result):
    return [message.content for message in result["messages"]]


@patterns
def test_agents_take_turns(world):
    agents = {name: says(world, name) for name in ("ann", "bob", "cy")}
    graph = world.compile(take_turns(agents, max_turns=4))
    assert said(world.run(graph, HELLO)) == ["hello", "ann 1", "bob 2", "cy 3", "ann 4"]


@patterns
def test_turns_end_early_and_the_next_speaker_may_be_chosen(world):
    agents = {name: says(world, name) for name in ("ann", "bob")}
    builder = take_turns(
        agents,
        max_turns=10,
        until=lambda state: state["messages"][-1].content.endswith("3"),
        next_speaker=lambda state: "bob",
    )
    assert said(world.run(world.compile(builder), HELLO)) == ["hello", "bob 1", "bob 2", "bob 3"]


@patterns
def test_a_supervisor_sends_work_to_one_or_several(world):
    def decide(state):
        return {0: "ann", 1: ["bob", "cy"]}.get(state.get("turns", 0), END)

    agents = {name: says(world, name) for name in ("ann", "bob", "cy")}
    graph = world.compile(supervise(agents, world.node(decide)))
    assert said(world.run(graph, HELLO)) == ["hello", "ann 1", "bob 2", "cy 2"]


@patterns
def test_a_model_may_be_the_supervisor(world):
    model = FakeListChatModel(responses=["bob, I think", '```{"next": "bob"}```', '{"next": "FINISH"}'])
    decide = choice_of(model, {"ann": "writes", "bob": "reads"})
    graph = world.compile(supervise({name: says(world, name) for name in ("ann", "bob")}, decide))
    assert said(world.run(graph, HELLO)) == ["hello", "bob 1"]


@patterns
def test_a_supervisor_stops_at_its_bound_and_names_unknown_agents(world):
    graph = world.compile(supervise({"ann": says(world, "ann")}, lambda state: "ann", max_turns=2))
    assert said(world.run(graph, HELLO)) == ["hello", "ann 1", "ann 2"]
    lost = world.compile(supervise({"ann": says(world, "ann")}, lambda state: "eve"))
    with pytest.raises(ValueError, match="no agent 'eve'; there are ann"):
        world.run(lost, HELLO, world.config("other"))


@patterns
def test_all_get_a_broadcast_and_one_collects(world):
    agents = {name: says(world, name) for name in ("ann", "bob")}
    graph = world.compile(broadcast(agents, says(world, "sum")))
    assert said(world.run(graph, HELLO)) == ["hello", "ann 1", "bob 1", "sum 3"]


@patterns
def test_a_debate_has_rounds_and_a_judge(world):
    agents = {name: says(world, name) for name in ("pro", "con")}
    graph = world.compile(debate(agents, says(world, "judge"), rounds=2))
    assert said(world.run(graph, HELLO)) == ["hello", "con 1", "pro 1", "con 3", "pro 3", "judge 5"]


@patterns
def test_speakers_see_each_other_as_people(world):
    heard = []

    class Listening(FakeListChatModel):
        def _call(self, messages, *args, **kwargs):
            heard.append([(m.type, m.content) for m in messages])
            return super()._call(messages, *args, **kwargs)

    ann = speaker("ann", Listening(responses=["I say yes."]), "You are Ann.")
    bob = speaker("bob", Listening(responses=["I say no."]))
    result = world.run(world.compile(take_turns({"ann": ann, "bob": bob}, max_turns=3)), HELLO)
    assert [m.name for m in result["messages"]] == [None, "ann", "bob", "ann"]
    assert heard[2] == [
        ("system", "You are Ann."),
        ("human", "hello"),
        ("ai", "I say yes."),
        ("human", "bob: I say no."),
    ]


def agent(world, name, *answers):
    """An agent with one handoff tool: the n-th answer in the conversation so far is its n-th."""
    other = {"ann": "bob", "bob": "ann"}[name]

    def model(state):
        mine = sum(message.name == name for message in state["messages"])
        if answers[mine] != "HANDOFF":
            return {"messages": [AIMessage(answers[mine], name=name)]}
        call = {"name": f"transfer_to_{other}", "args": {}, "id": f"{name}{mine}", "type": "tool_call"}
        return {"messages": [AIMessage("", name=name, tool_calls=[call])]}

    builder = StateGraph(MessagesState)
    builder.add_node("model", world.node(model))
    builder.add_node("tools", ToolNode([handoff_tool(other)]))
    builder.add_edge(START, "model")
    builder.add_conditional_edges("model", tools_condition)
    return builder.compile(name=name)


@patterns
def test_in_a_swarm_agents_hand_over_and_the_active_one_stays(recorded):
    agents = {
        "ann": agent(recorded, "ann", "HANDOFF", "Ann again."),
        "bob": agent(recorded, "bob", "Bob here.", "Bob still.", "HANDOFF"),
    }
    graph = recorded.compile(swarm(agents, "ann"))
    result = recorded.run(graph, HELLO)
    assert said(result) == ["hello", "", "Successfully transferred to bob", "Bob here."]
    assert result["active_agent"] == "bob"
    result = recorded.run(graph, {"messages": [HumanMessage("and now?")]})
    assert said(result)[-1] == "Bob still."
    result = recorded.run(graph, {"messages": [HumanMessage("Ann, please.")]})
    assert said(result)[-1] == "Ann again."
    assert result["active_agent"] == "ann"


@patterns
@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: take_turns({}, max_turns=1), "at least one agent"),
        (lambda: supervise({"supervisor": print}, print), "cannot be called 'supervisor'"),
        (lambda: broadcast({}), "at least one agent"),
        (lambda: broadcast({"collect": print}, print), "cannot be called 'collect'"),
        (lambda: debate({"one": print}), "at least two debaters"),
        (lambda: debate({"a": print, "b": print}, rounds=0), "at least one round"),
        (lambda: debate({"a": print, "judge": print}, print), "cannot be called 'judge'"),
        (lambda: swarm({"a": print}, "b"), "none of the agents: a"),
    ],
)
def test_what_makes_no_conversation_is_refused(build, words):
    with pytest.raises(ValueError, match=words):
        build()


@pytest.mark.feature("MSG-002")
def test_messages_find_their_way_through_a_graph(world):
    nodes = [(name, says(world, name)) for name in ("billing", "chat")]
    builder = world.graph(nodes, [], schema=MessagesState)
    builder.add_conditional_edges(START, route_messages((contains("refund"), "billing"), otherwise="chat"))
    builder.add_conditional_edges("billing", route_messages((calls_tool(), "chat")))
    graph = world.compile(builder)
    ask = {"messages": [HumanMessage("A refund!")]}
    assert said(world.run(graph, ask, world.config("a"))) == ["A refund!", "billing 1"]
    assert said(world.run(graph, HELLO, world.config("b"))) == ["hello", "chat 1"]


@pytest.mark.feature("MSG-002")
def test_a_node_may_see_less_than_there_is(world):
    builder = world.graph([("chat", seen_through(says(world, "chat"), last(1)))], schema=MessagesState)
    given = {"messages": [HumanMessage("one"), HumanMessage("two")]}
    assert said(world.run(world.compile(builder), given)) == ["one", "two", "chat 1"]


@pytest.mark.feature("MSG-004")
def test_a_conversation_is_summed_up_when_it_gets_long(recorded):
    model = FakeListChatModel(responses=["They said hello.", "They said hello, then more."])
    builder = recorded.graph(
        [("summarise", summarise_node(model, max_turns=2)), ("chat", says(recorded, "chat"))],
        schema=MessagesState,
    )
    graph = recorded.compile(builder)
    recorded.run(graph, {"messages": [SystemMessage("Be kind."), HumanMessage("one")]})
    recorded.run(graph, {"messages": [HumanMessage("two")]})
    result = recorded.run(graph, {"messages": [HumanMessage("three")]})
    summary = "Summary of the conversation so far: They said hello."
    assert said(result) == ["Be kind.", summary, "three", "chat 3"]
    recorded.run(graph, {"messages": [HumanMessage("four")]})
    result = recorded.run(graph, {"messages": [HumanMessage("five")]})
    assert said(result) == ["Be kind.", f"{summary[:-1]}, then more.", "five", "chat 3"]


@pytest.mark.feature("MSG-004")
def test_a_conversation_is_cut_in_the_state(recorded):
    builder = recorded.graph(
        [("trim", trim_node(max_turns=1)), ("chat", says(recorded, "chat"))], schema=MessagesState
    )
    graph = recorded.compile(builder)
    recorded.run(graph, {"messages": [HumanMessage("one")]})
    assert said(recorded.run(graph, {"messages": [HumanMessage("two")]})) == ["two", "chat 1"]


@pytest.mark.feature("MSG-004")
def test_a_hundred_thousand_messages_are_read_page_by_page(recorded):
    count = 100_000 if recorded.kind == "sync" and recorded.saves == "sqlite" else 300
    messages = [HumanMessage(f"message {number}", id=str(number)) for number in range(count)]
    graph = recorded.compile(recorded.graph([("chat", says(recorded, "chat"))], schema=ConversationState))
    recorded.run(graph, {"messages": messages})
    history = History(recorded.state(graph).values["messages"])
    assert len(history) == count + 1
    page, seen = history.page(100), 0
    while page.older is not None:
        seen += len(page.messages)
        page = history.page(100, before=page.older)
    assert (seen + len(page.messages), page.messages[0].id) == (count + 1, "0")
    assert next(history.search(f"message {count // 2}")).place == count // 2
