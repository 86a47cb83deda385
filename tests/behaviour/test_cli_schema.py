"""`dashflow schema`: what it shows and proposes, and which threads of a log it says could go on."""

import json

import pytest

from dashflow.checkpoint.sqlite import SqliteSaver
from dashflow.cli.app import main
from dashflow.cli.graphs import load_graph

pytestmark = [pytest.mark.feature("SCHEMA-003"), pytest.mark.feature("DX-002")]

PROGRAM = """
import operator
from typing import Annotated
from typing_extensions import TypedDict
from annotated_types import Ge
from dashflow.graph import START, StateGraph
from dashflow.types import interrupt


class State(TypedDict, total=False):
    n: Annotated[int, Ge(0)]
    log: Annotated[list[str], operator.add]


def NAME(state: State) -> dict:
    return {"log": [interrupt("Pay?")]}


graph = StateGraph(State).add_node(NAME).add_edge(START, "NAME").compile(name="shop", version="VERSION")
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for file, name, version in (("old.py", "pay", "1"), ("new.py", "charge", "2")):
        (tmp_path / file).write_text(PROGRAM.replace("NAME", name).replace("VERSION", version))
    return tmp_path


def said(capsys, *words):
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, out, err


def test_show_prints_json_schemas_and_the_fingerprint(folder, capsys):
    code, out, _ = said(capsys, "schema", "show", "old.py:graph")
    assert code == 0
    assert json.loads(out)["properties"]["n"] == {"minimum": 0, "title": "N", "type": "integer"}
    assert json.loads(said(capsys, "schema", "show", "old.py:graph", "--of", "input")[1])["properties"]
    told = json.loads(said(capsys, "schema", "show", "old.py:graph", "--of", "fingerprint")[1])
    assert (told["version"], told["nodes"]) == ("1", {"pay": "code"})
    code, _, err = said(capsys, "schema", "show", "old.py:graph", "--of", "context")
    assert (code, "no context schema" in err) == (2, True)


def test_infer_from_nodes_samples_and_threads(folder, capsys):
    code, out, _ = said(capsys, "schema", "infer", "old.py:graph", "--python", "--name", "Shop")
    assert code == 0
    assert "class Shop(TypedDict):" in out
    assert "log: NotRequired[list[str]]" in out
    (folder / "states.jsonl").write_text('{"n": 1}\n{"n": 2, "log": ["a"]}\n')
    code, out, _ = said(capsys, "schema", "infer", "--samples", "states.jsonl")
    assert json.loads(out)["required"] == ["n"]
    saver = SqliteSaver("threads.db")
    graph = load_graph("old.py:graph").with_checkpointer(saver)
    graph.invoke({"n": 1}, {"configurable": {"thread_id": "order-7"}})
    saver.log.close()
    code, out, _ = said(capsys, "schema", "infer", "--thread", "order-7", "--db", "threads.db")
    assert json.loads(out)["properties"]["n"] == {"type": "integer"}
    code, _, err = said(capsys, "schema", "infer")
    assert (code, "Say what to learn from" in err) == (2, True)
    (folder / "bad.jsonl").write_text("{")
    assert "Line 1 of 'bad.jsonl' is no JSON" in said(capsys, "schema", "infer", "--samples", "bad.jsonl")[2]


@pytest.mark.feature("SCHEMA-005")
@pytest.mark.feature("NEW-12")
def test_check_says_which_threads_could_go_on(folder, capsys):
    saver = SqliteSaver("threads.db")
    graph = load_graph("old.py:graph").with_checkpointer(saver)
    for thread in ("order-7", "order-8"):
        graph.invoke({"n": 1}, {"configurable": {"thread_id": thread}})
    saver.log.close()
    code, out, _ = said(capsys, "schema", "check", "old.py:graph", "--all", "--db", "threads.db")
    assert (code, out.splitlines()[-1]) == (0, "2 can go on, 0 cannot")
    code, out, _ = said(capsys, "schema", "check", "new.py:graph", "order-7", "--db", "threads.db")
    assert code == 4
    assert "REFUSED: order-7 (paused, version 1)" in out
    assert "! node 'pay' is to run next and is gone" in out
    told = json.loads(
        said(capsys, "schema", "check", "new.py:graph", "--all", "--db", "threads.db", "--json")[1]
    )
    assert (told["refused"], told["version"], len(told["threads"])) == (2, "2", 2)
    assert said(capsys, "schema", "check", "new.py:graph")[0] == 2
