"""What a step costs in the log: as much as it changed, however large the state is."""

import operator
import subprocess
import sys
from typing import Annotated, Any, TypedDict

import pytest

from dashflow.graph import END
from dashflow.graph.message import add_messages
from dashflow.types import Overwrite

STEPS = 120
SYNC = [("sync-memory", "sync"), ("sync-sqlite", "async")]
CHUNK = "x" * 100


class Grows(TypedDict, total=False):
    n: int
    appended: Annotated[list[Any], operator.add]
    rebuilt: list[Any]
    merged: Annotated[dict[str, Any], operator.or_]
    rebuilt_dict: dict[str, Any]
    text: Annotated[str, operator.add]
    rebuilt_text: str
    members: Annotated[set[str], operator.or_]
    messages: Annotated[list[Any], add_messages]
    custom: Annotated[list[Any], lambda old, new: [*old, *new]]
    in_place: Annotated[list[Any], lambda old, new: old.extend(new) or old]


def ai(number: int) -> Any:
    from langchain_core.messages import AIMessage

    return AIMessage(f"{number}{CHUNK}", id=str(number))


GROWTH = {
    "appended": lambda s, n: [[n, CHUNK]],
    "rebuilt": lambda s, n: [*s.get("rebuilt", []), [n, CHUNK]],
    "merged": lambda s, n: {f"k{n}": [CHUNK]},
    "rebuilt_dict": lambda s, n: {**s.get("rebuilt_dict", {}), f"k{n}": [CHUNK]},
    "text": lambda s, n: CHUNK,
    "rebuilt_text": lambda s, n: s.get("rebuilt_text", "") + CHUNK,
    "members": lambda s, n: {f"{n}{CHUNK}"},
    "messages": lambda s, n: [ai(n)],
    "custom": lambda s, n: [[n, CHUNK]],
    "in_place": lambda s, n: [[n, CHUNK]],
}


@pytest.mark.feature("NEW-02")
@pytest.mark.parametrize(("recorded", "durability"), [*SYNC, ("sync-memory", "exit")], indirect=["recorded"])
@pytest.mark.parametrize("key", GROWTH)
def test_a_step_costs_what_it_changes(recorded, key, durability) -> None:
    def grow(state: Any) -> Any:
        return {"n": state["n"] + 1, key: GROWTH[key](state, state["n"])}

    builder = recorded.graph([grow], schema=Grows)
    builder.add_conditional_edges("grow", lambda s: END if s["n"] >= STEPS else "grow")
    graph = recorded.compile(builder)
    result = recorded.run(graph, {"n": 0}, durability=durability)
    sizes = [
        len(record.data) for record in recorded.saver.log.read("run-t") if record.type == "StepCompleted"
    ]
    assert len(sizes) == STEPS + 1
    assert max(sizes) < 12 * len(CHUNK)
    early, late = sizes[10:30], sizes[-20:]
    assert max(late) <= max(early) + 16  # numbers get longer
    recorded.reopen()
    assert recorded.state(recorded.compile(builder)).values == result


@pytest.mark.feature("NEW-02")
@pytest.mark.parametrize("recorded", ["sync-memory", "sync-sqlite"], indirect=True)
def test_a_message_that_is_changed_costs_that_message(recorded) -> None:
    def edit(state: Any) -> Any:
        message = state["messages"][state["n"]]
        message.content = f"edited {state['n']}"
        return {"n": state["n"] + 1, "messages": [message]}

    builder = recorded.graph([edit], schema=Grows)
    builder.add_conditional_edges("edit", lambda s: END if s["n"] >= 20 else "edit")
    graph = recorded.compile(builder)
    result = recorded.run(graph, {"n": 0, "messages": [ai(number) for number in range(200)]})
    records = recorded.saver.log.read("run-t")
    assert max(len(record.data) for record in records[2:]) < 1000
    recorded.reopen()
    stored = recorded.state(recorded.compile(builder)).values["messages"]
    assert [message.content for message in stored] == [message.content for message in result["messages"]]
    assert stored[7].content == "edited 7"


def test_what_an_overwrite_holds_is_stored_though_its_parts_are_the_old_ones(recorded) -> None:
    def scribble(state: Any) -> Any:
        for part in state["log"]:
            part.append("changed in place")
        return {"log": Overwrite(state["log"])}

    graph = recorded.compile(recorded.graph([scribble]))
    result = recorded.run(graph, {"log": [[number] for number in range(8)]})
    assert result["log"][3] == [3, "changed in place"]
    recorded.reopen()
    assert recorded.state(recorded.compile(recorded.graph([scribble]))).values == result


@pytest.mark.feature("NEW-07")
@pytest.mark.usefixtures("_uncounted")
def test_importing_the_graph_api_imports_no_langchain_pydantic_httpx_or_asyncio() -> None:
    program = (
        "import sys\n"
        "from dashflow.graph import StateGraph\n"
        "heavy = {'langchain_core', 'pydantic', 'httpx', 'asyncio', 'sqlite3', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
