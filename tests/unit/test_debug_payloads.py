"""What the debug modes say, made of tasks and checkpoints in LangGraph's form."""

from collections import deque
from dataclasses import asdict

import pytest

from dashflow.channels import LastValue
from dashflow.pregel import debug
from dashflow.types import Interrupt, PregelExecutableTask, PregelTask

pytestmark = pytest.mark.feature("HIL-003")


def task(name="node", *, config=None, subgraphs=()):
    return PregelExecutableTask(
        name=name, input={"n": 1}, proc=None, writes=deque(), config=config or {}, triggers=("t",),
        retry_policy=(), cache_key=None, id=f"id-{name}", path=("__pregel_pull", name), subgraphs=subgraphs,
    )  # fmt: skip


def test_the_start_of_a_task_has_what_the_user_said_of_it():
    config = {
        "metadata": {"mine": 1, "langgraph_node": "node", "thread_id": "t"},
        "tags": ["seq:step:1", "tag"],
    }
    shown, hidden = task(config=config), task("hidden", config={"tags": ["langsmith:hidden"]})
    assert list(debug.map_debug_tasks([shown, hidden, task("bare")])) == [
        {
            "id": "id-node", "name": "node", "input": {"n": 1}, "triggers": ("t",),
            "metadata": {"mine": 1, "tags": ["tag"]},
        },
        {"id": "id-bare", "name": "bare", "input": {"n": 1}, "triggers": ("t",)},
    ]  # fmt: skip


def test_several_writes_to_one_channel_are_kept_apart():
    folded = debug.map_task_result_writes([("a", 1), ("b", 2), ("a", 3), ("a", 4)])
    assert folded == {"a": {"$writes": [1, 3, 4]}, "b": 2}
    assert debug.is_multiple_channel_write(folded["a"])
    assert not debug.is_multiple_channel_write(folded["b"])
    assert not debug.is_multiple_channel_write({"$writes": 1})


QUESTION = Interrupt("why", "q1")


def test_the_end_of_a_task_has_what_it_wrote_asked_or_failed_with():
    def ended(*writes, keys=("n",)):
        return next(debug.map_debug_task_results((task(), writes), keys))

    assert ended(("n", 2), ("private", 3)) == {
        "id": "id-node", "name": "node", "error": None, "result": {"n": 2}, "interrupts": [],
    }  # fmt: skip
    assert ended(("__return__", 7), keys="n")["result"] == {"__return__": 7}
    assert ended(("__interrupt__", (QUESTION,)))["interrupts"] == [asdict(QUESTION)]
    assert ended(("__error__", "boom"))["error"] == "boom"


def test_tasks_have_what_they_wrote():
    writes = [
        ("id-done", "n", 2),
        ("id-done", "private", 1),
        ("id-asks", "__interrupt__", [QUESTION]),
        ("id-failed", "__error__", "boom"),
        ("id-answered", "__interrupt__", [QUESTION]),
        ("id-answered", "__resume__", ["so"]),
        ("id-answered", "__return__", "value"),
        ("00000000-0000-0000-0000-000000000000", "n", 5),
    ]
    names = ("done", "asks", "failed", "answered", "waiting")
    rows = debug.tasks_w_writes(
        [task(name) for name in names], writes, {"id-done": {"configurable": {}}}, ["n"]
    )
    path = ("__pregel_pull", "done")
    assert rows[0] == PregelTask("id-done", "done", path, None, (), {"configurable": {}}, {"n": 2})
    assert (rows[1].interrupts, rows[1].result) == ((QUESTION,), None)
    assert (rows[2].error, rows[2].result) == ("boom", None)
    assert (rows[3].interrupts, rows[3].result) == ((QUESTION,), "value")
    assert (rows[4].interrupts, rows[4].result, rows[4].error) == ((), None, None)
    live = debug.tasks_w_writes([task("asks"), task("answered")], writes, None, "n", live=True)
    assert [row.interrupts for row in live] == [(QUESTION,), ()]


def test_a_checkpoint_with_its_tasks():
    channels = {"n": LastValue(int).from_checkpoint(3)}
    config = {
        "configurable": {
            "thread_id": "t", "checkpoint_ns": "outer:1", "checkpoint_id": "c2", "__pregel_secret": object(),
        }
    }  # fmt: skip
    payload = next(
        debug.map_debug_checkpoint(
            config,
            channels,
            ["n"],
            {"step": 1, "parents": {"": "c0"}},
            [task(subgraphs=["inner"])],
            [],
            None,
            "n",
        )
    )
    assert payload["config"]["configurable"] == {
        "thread_id": "t", "checkpoint_ns": "outer:1", "checkpoint_id": "c2",
        "checkpoint_map": {"": "c0", "outer:1": "c2"},
    }  # fmt: skip
    assert payload["parent_config"] is None
    assert (payload["values"], payload["next"]) == ({"n": 3}, ["node"])
    (row,) = payload["tasks"]
    assert row["state"]["configurable"] == {"thread_id": "t", "checkpoint_ns": "outer:1|node:id-node"}
    assert "result" not in row


def test_a_config_without_what_is_the_engines():
    assert debug.rm_pregel_keys(None) is None
    given = {"configurable": {"thread_id": "t", "__pregel_read": 1}, "tags": ["a"]}
    assert debug.rm_pregel_keys(given) == {"configurable": {"thread_id": "t"}}


def test_text_for_terminals():
    assert debug.get_bolded_text("a") == "\033[1ma\033[0m"
    assert debug.get_colored_text("a", "green") == "\033[1;30;32ma\033[0m"
    with pytest.raises(KeyError):
        debug.get_colored_text("a", "infrared")
