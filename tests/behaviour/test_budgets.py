"""Budgets: a run that has used what it may pauses, and goes on with more."""

import json
import operator
import subprocess
import sys
from typing import Annotated, TypedDict

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage

from dashflow.checkpoint.memory import InMemorySaver
from dashflow.checkpoint.sqlite import SqliteSaver
from dashflow.errors import BudgetExceededError, UsageError
from dashflow.graph import END, START, StateGraph
from dashflow.hosts.simulated import SimulatedHost
from dashflow.types import Budget, Command, Interrupt, Price
from dashflow.types.budget import BudgetExceeded

pytestmark = pytest.mark.feature("NEW-06")

CONFIG = {"configurable": {"thread_id": "t"}}


class State(TypedDict):
    n: Annotated[int, operator.add]


class Model(GenericFakeChatModel):
    """One that says what it is called."""

    name_of_it: str = "small"

    def _get_ls_params(self, stop=None, **kwargs):
        return {**super()._get_ls_params(stop=stop, **kwargs), "ls_model_name": self.name_of_it}


def model(calls, **more):
    usage = {"input_tokens": 100, "output_tokens": 50, "total_tokens": 150}
    return Model(messages=iter([AIMessage("hm", usage_metadata=usage) for _ in range(calls)]), **more)


def loop(saver, node, budget=None, upto=10, **options):
    graph = StateGraph(State)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    graph.add_conditional_edges("node", lambda state: "node" if state["n"] < upto else END)
    return graph.compile(checkpointer=saver, budget=budget, **options)


def one(state: State):
    return {"n": 1}


def exceeded(result):
    (interrupt,) = result["__interrupt__"]
    assert isinstance(interrupt, Interrupt)
    assert isinstance(interrupt.value, BudgetExceeded)
    return interrupt.value


def test_steps_are_limited_and_the_run_goes_on_with_more():
    graph = loop(InMemorySaver(), one, Budget(steps=3))
    result = graph.invoke({"n": 0}, CONFIG)
    assert result["n"] == 3
    assert (exceeded(result).limit, exceeded(result).allowed, exceeded(result).used) == ("steps", 3, 3)
    state = graph.get_state(CONFIG)
    assert state.next == ("node",)
    assert state.interrupts[0].value.limit == "steps"
    assert graph.invoke(None, CONFIG)["n"] == 3  # nothing was raised
    result = graph.invoke(Command(resume={"steps": 5}), CONFIG)
    assert (result["n"], exceeded(result).used) == (5, 5)
    use = graph.update_budget(CONFIG, steps=100)
    assert (use.limits, use.spent, use.waits_for) == ({"steps": 100}, {"steps": 5}, "steps")
    assert graph.invoke(None, CONFIG) == {"n": 10}
    assert graph.get_state(CONFIG).interrupts == ()
    assert graph.get_budget(CONFIG).spent == {"steps": 10}


def test_a_new_input_begins_anew_unless_the_thread_shares_it():
    graph = loop(InMemorySaver(), one, Budget(steps=3), upto=2)
    for count in (2, 3, 4):
        assert graph.invoke({"n": 0}, CONFIG) == {"n": count}
    shared = loop(InMemorySaver(), one, Budget(steps=3, per="thread"), upto=2)
    assert shared.invoke({"n": 0}, CONFIG) == {"n": 2}
    assert shared.invoke({"n": 0}, CONFIG) == {"n": 3}
    assert exceeded(shared.invoke({"n": 0}, CONFIG)).used == 3
    assert shared.invoke(Command(resume=Budget(steps=4)), CONFIG) == {"n": 4}
    assert exceeded(shared.invoke({"n": 0}, CONFIG)).allowed == 4  # what was raised stays


def test_tokens_are_counted_across_graphs_inside_and_before_each_call():
    asked = []
    talker = model(20)

    def talk(state: State):
        talker.invoke("hello")
        asked.append("inner")
        return {"n": 1}

    inner = StateGraph(State)
    inner.add_node("talk", talk)
    inner.add_edge(START, "talk")
    called = inner.compile()

    def outer(state: State):
        called.invoke({"n": 0})
        return {"n": 1}

    graph = loop(InMemorySaver(), outer, Budget(tokens=400))
    result = graph.invoke({"n": 0}, CONFIG)
    assert (exceeded(result).limit, exceeded(result).used) == ("tokens", 450)
    assert len(asked) == 3
    result = graph.invoke(Command(resume={"tokens": 700}), CONFIG)
    assert exceeded(result).used == 750
    assert len(asked) == 5


def test_a_call_that_nothing_is_left_for_is_not_made():
    talker, made = model(20), []

    def talk(state: State):
        for _ in range(5):
            talker.invoke("hello")
            made.append(1)
        return {"n": 1}

    graph = loop(InMemorySaver(), talk, Budget(tokens=300), upto=1)
    assert exceeded(graph.invoke({"n": 0}, CONFIG)).used == 300
    assert len(made) == 2
    assert graph.get_state(CONFIG).next == ("talk",) or graph.get_state(CONFIG).next == ("node",)
    assert graph.invoke(Command(resume={"tokens": 10_000}), CONFIG) == {"n": 1}  # the node begins anew
    assert graph.get_budget(CONFIG).spent["tokens"] == 300 + 5 * 150


async def test_money_is_counted_by_the_users_prices():
    talker = model(20)

    async def talk(state: State):
        await talker.ainvoke("hello")
        return {"n": 1}

    budget = Budget(money=0.001, prices={"small": Price(input=1, output=2)})
    graph = loop(InMemorySaver(), talk, budget)
    result = await graph.ainvoke({"n": 0}, CONFIG)
    assert exceeded(result).limit == "money"
    assert exceeded(result).used == pytest.approx(5 * 200 / 1e6)
    assert Price(input=1, output=2, cached=0.5).of(100, 50, 40) == pytest.approx((60 + 20 + 100) / 1e6)


def test_a_model_without_a_price_is_an_error_before_it_is_called():
    talker = model(20, name_of_it="large")

    def talk(state: State):
        talker.invoke("hello")
        return {"n": 1}

    graph = loop(InMemorySaver(), talk, Budget(money=1, prices={"small": Price(input=1, output=2)}))
    with pytest.raises(UsageError, match="'large'"):
        graph.invoke({"n": 0}, CONFIG)
    assert len([*talker.messages]) == 20
    with pytest.raises(UsageError, match="what models cost"):
        Budget(money=1)
    with pytest.raises(UsageError, match="from 0 on"):
        Budget(tokens=-1)


def test_time_at_work_is_limited_on_the_hosts_clock():
    host = SimulatedHost(1)

    def slow(state: State):
        host._clock += 2_000_000_000
        return {"n": 1}

    graph = loop(InMemorySaver(), slow, Budget(seconds=5)).with_host(host)
    result = graph.invoke({"n": 0}, CONFIG)
    assert (result["n"], exceeded(result).limit) == (3, "seconds")
    host._clock += 3_600_000_000_000  # nobody is at work
    result = graph.invoke(Command(resume={"seconds": 9}), CONFIG)
    assert result["n"] == 5


def test_a_deadline_is_a_time_of_the_hosts_clock():
    host = SimulatedHost(1)

    def slow(state: State):
        host._clock += 2_000_000_000
        return {"n": 1}

    deadline = host.now() / 1e9 + 5
    graph = loop(InMemorySaver(), slow, Budget(deadline=deadline)).with_host(host)
    result = graph.invoke({"n": 0}, CONFIG)
    assert (result["n"], exceeded(result).limit) == (3, "deadline")
    assert graph.invoke(Command(resume={"deadline": deadline + 3600}), CONFIG) == {"n": 10}


@pytest.mark.guarantee("budget-survives")
def test_what_was_used_survives_a_restart_and_so_does_the_limit(tmp_path):
    path = str(tmp_path / "log.db")
    config = {"configurable": {"thread_id": "t", "budget": Budget(steps=2)}}
    with SqliteSaver.from_conn_string(path) as saver:
        assert exceeded(loop(saver, one).invoke({"n": 0}, config)).used == 2
    with SqliteSaver.from_conn_string(path) as saver:
        graph = loop(saver, one)
        assert graph.get_budget(CONFIG).waits_for == "steps"
        assert exceeded(graph.invoke(None, CONFIG)).used == 2  # though this caller says nothing of a budget
        assert exceeded(graph.invoke(Command(resume={"steps": 4}), CONFIG)).used == 4
        graph.update_budget(CONFIG, steps=None)
        assert graph.invoke(None, CONFIG) == {"n": 10}


def dashflow(*words):
    done = subprocess.run([sys.executable, "-m", "dashflow", *words], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def test_the_command_line_shows_and_raises_it(tmp_path):
    path = str(tmp_path / "log.db")
    with SqliteSaver.from_conn_string(path) as saver:
        loop(saver, one, Budget(steps=2)).invoke({"n": 0}, CONFIG)
    code, out, err = dashflow("budget", "t", "--db", path, "--json")
    assert code == 0, err
    view = json.loads(out)
    assert (view["limits"], view["spent"], view["waits_for"]) == ({"steps": 2}, {"steps": 2}, "steps")
    assert "budget of steps: 2 of 2 used" in dashflow("runs", "--db", path, "--json")[1]
    code, out, err = dashflow("budget", "t", "--steps", "9", "--db", path)
    assert code == 0, err
    assert "9" in out
    with SqliteSaver.from_conn_string(path) as saver:
        assert loop(saver, one, Budget(steps=2), upto=5).invoke(None, CONFIG) == {"n": 5}
    code, _, err = dashflow("budget", "t", "--no-limit", "pages", "--db", path)
    assert code != 0
    assert "cannot be limited" in err


def test_an_answer_that_is_no_budget_is_refused():
    graph = loop(InMemorySaver(), one, Budget(steps=2))
    graph.invoke({"n": 0}, CONFIG)
    with pytest.raises(UsageError, match="resume it with larger limits"):
        graph.invoke(Command(resume="yes"), CONFIG)
    with pytest.raises(UsageError, match="cannot be limited"):
        graph.invoke(Command(resume={"pages": 3}), CONFIG)


def test_without_a_thread_it_is_an_error():
    with pytest.raises(BudgetExceededError) as caught:
        loop(None, one, Budget(steps=2)).invoke({"n": 0})
    assert (caught.value.limit, caught.value.used) == ("steps", 2)


def test_streams_show_it():
    graph = loop(InMemorySaver(), one, Budget(steps=2))
    last = [*graph.stream({"n": 0}, CONFIG)][-1]
    assert last["__interrupt__"][0].value.limit == "steps"


def test_a_run_that_ends_at_its_limit_has_ended():
    graph = loop(InMemorySaver(), one, Budget(steps=2), upto=2)
    assert graph.invoke({"n": 0}, CONFIG) == {"n": 2}
