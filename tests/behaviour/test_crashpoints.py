"""`dashflow.testing.crashpoints`: what a user's graph repeats or loses when its process dies."""

import json
import operator
import subprocess
import sys
from typing import Annotated, Any, TypedDict

import pytest

from dashflow.errors import UsageError
from dashflow.func import step
from dashflow.graph import START, StateGraph
from dashflow.testing.crashpoints import CrashPoint, CrashReport, Effects, Outcome, acrashpoints, crashpoints
from dashflow.types import Send, interrupt

pytestmark = pytest.mark.feature("NEW-03")


class State(TypedDict, total=False):
    """What the graphs work on."""

    n: int
    log: Annotated[list[Any], operator.add]


def shop(effects: Effects):
    """A charge, a question, and three parcels beside each other."""

    def charge(state):
        effects("charge")
        return {"n": state["n"] + 1}

    def ask(state):
        return {"log": [interrupt("Send it?")]}

    def parcel(state):
        effects("parcel", state["n"])
        return {"log": [state["n"]]}

    builder = StateGraph(State).add_node(charge).add_node(ask).add_node(parcel)
    builder.add_edge(START, "charge").add_edge("charge", "ask")
    parcels = [Send("parcel", {"n": n}) for n in range(3)]
    return builder.add_conditional_edges("ask", lambda state: parcels, ["parcel"]).compile(name="shop")


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_a_graph_loses_nothing_and_repeats_what_was_not_recorded(durability):
    report = crashpoints(shop, {"n": 1}, answer=lambda asked: f"yes to {asked}", durability=durability)
    assert report.calm.values == {"n": 2, "log": ["yes to Send it?", 0, 1, 2]}
    assert report.effects == {"charge": 1, "parcel[0]": 1, "parcel[1]": 1, "parcel[2]": 1}
    report.assert_no_loss()
    assert all(outcome.crashed for outcome in report.outcomes)
    assert report.lost_effects == {}
    # Its record is the only thing that can be missing: charged, and died before that was durable.
    assert len(report.repeated["charge"]) == (1 if durability == "sync" else len(report.repeated["charge"]))
    assert all(point.how != "after" for point in report.repeated["charge"])
    assert max(outcome.effects["charge"] for outcome in report.outcomes) == 2
    with pytest.raises(AssertionError, match=r"charge: \d+ of \d+ crash points, first .* commit"):
        report.assert_no_repeats(["charge"])


def test_a_question_is_the_end_where_nobody_answers():
    report = crashpoints(shop, {"n": 1})
    assert report.calm.next == ("ask",)
    assert all(outcome.next == ("ask",) for outcome in report.outcomes)
    report.assert_no_loss()


def test_the_report_says_what_is_repeated_and_where():
    text = str(crashpoints(shop, {"n": 1}, durability="sync"))
    first, *rest = text.splitlines()
    assert first.startswith("shop: ")
    assert first.endswith(" crash points, durability sync: nothing lost")
    assert "  effect charge: once; repeated after 1 of" in text
    assert "      before commit 3 (StepCompleted)" in rest
    assert any(line.startswith("  node ask: once; repeated after") for line in rest)


def test_chaos_points_are_crash_points_too():
    report = crashpoints(shop, {"n": 1}, durability="sync", points=["node.after"])
    chaotic = [outcome for outcome in report.outcomes if outcome.point.chaos]
    assert [str(outcome.point) for outcome in chaotic] == [
        "at node.after number 1",
        "at node.after number 2",
    ][:1]
    assert all(outcome.crashed for outcome in chaotic)
    assert chaotic[0].effects == {"charge": 2}
    report.assert_no_loss()


def test_a_state_in_memory_is_a_loss_and_is_told():
    made = []

    def count(state):  # counts in the process, which a crash takes away; here in a list that outlives it
        made.append(1)
        return {"n": len(made)}

    graph = StateGraph(State).add_node(count).add_edge(START, "count").compile(name="counter")
    report = crashpoints(graph, {"n": 0})
    assert report.losses
    with pytest.raises(AssertionError, match=r"crash points lose something:\n  .*'n' is \d+, not 1"):
        report.assert_no_loss()
    assert "LOST" in str(report)


async def test_async_nodes():
    def build(effects: Effects):
        async def charge(state):
            effects("charge")
            return {"n": state["n"] + 1}

        async def pack(state):
            return {"log": [state["n"]]}

        builder = StateGraph(State).add_node(charge).add_node(pack)
        builder.add_edge(START, "charge")
        packets = [Send("pack", {"n": n}) for n in range(2)]
        return builder.add_conditional_edges("charge", lambda state: packets, ["pack"]).compile(name="a")

    report = await acrashpoints(build, {"n": 1}, points=["node.before"])
    assert report.calm.values == {"n": 2, "log": [0, 1]}
    report.assert_no_loss()
    assert report.repeated["charge"]


def test_steps_are_counted_by_themselves():
    def pay(state):
        first = step("reserve", lambda: 1)
        return {"n": first + step("charge", lambda: 2)}

    graph = StateGraph(State).add_node(pay).add_edge(START, "pay").compile(name="steps")
    report = crashpoints(graph, {"n": 0}, durability="sync")
    report.assert_no_loss()
    assert report.calm.steps == {"reserve": 1, "charge": 1}
    # The node runs again from its top; a step whose result was recorded is not called again.
    assert len(report.repeated_nodes["pay"]) > len(report.repeated_steps["reserve"]) == 1
    assert "  step charge: once; repeated after 1 of" in str(report)


def test_what_cannot_be_tested_is_refused():
    with pytest.raises(UsageError, match="a compiled graph, or a function that makes one; got dict"):
        crashpoints(lambda effects: {}, {})

    def fail(state):
        raise RuntimeError("broken")

    with pytest.raises(UsageError, match="fails without a crash, too: RuntimeError: broken"):
        crashpoints(StateGraph(State).add_node(fail).add_edge(START, "fail").compile(), {"n": 1})
    with pytest.raises(UsageError, match="no chaos point 'nodes'"):
        crashpoints(shop, {"n": 1}, points=["nodes"])


def test_an_effect_that_is_missing_is_a_loss():
    point = CrashPoint(3, "lost", "StepCompleted")
    calm = Outcome(None, False, {}, (), {"mail": 1}, {"a": 1})
    report = CrashReport("g", "async", calm, (Outcome(point, True, {}, (), {}, {"a": 1}),))
    assert report.losses == [
        "before commit 3 (StepCompleted), what was handed over lost: effect 'mail' is missing"
    ]


PROGRAM = """
from typing import TypedDict
from dashflow.graph import START, StateGraph

class State(TypedDict):
    n: int

async def grow(state: State) -> dict:
    return {"n": state["n"] + 1}

graph = StateGraph(State).add_node(grow).add_edge(START, "grow").compile(name="grow")
"""


@pytest.mark.feature("DX-002")
def test_the_command(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)

    def command(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "dashflow", "crashpoints", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    done = command("program:graph", "--input", '{"n": 1}', "--durability", "sync")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("grow: ")
    assert "nothing lost" in done.stdout
    told = json.loads(
        command("program:graph", "--input", '{"n": 1}', "--point", "node.after", "--json").stdout
    )
    assert (told["losses"], told["expected"]["values"]) == ([], {"n": 2})
    assert told["repeated"]["grow"] >= 1
    bad = command("program:graph", "--input", "{")
    assert (bad.returncode, "--input is no JSON" in bad.stderr) == (2, True)
