"""What a type checker says of nodes is part of the product: the errors of ``nodes.py`` are compared."""

import operator
import re
from pathlib import Path
from typing import Annotated, TypedDict

import pytest
from mypy import api

from dashflow.graph import START, StateGraph

pytestmark = pytest.mark.feature("SCHEMA-004")

PROGRAM = Path(__file__).with_name("nodes.py")
ROOT = PROGRAM.parents[2]


def expected() -> dict[int, str]:
    lines = PROGRAM.read_text(encoding="utf-8").splitlines()
    return {number: line.split("# says: ")[1] for number, line in enumerate(lines, 2) if "# says: " in line}


def test_mypy_finds_what_is_wrong_and_nothing_else(monkeypatch):
    monkeypatch.setenv("MYPYPATH", str(ROOT / "src"))
    said, errors, _ = api.run(
        [
            "--strict",
            "--no-error-summary",
            "--hide-error-context",
            "--follow-imports=silent",
            "--cache-dir",
            str(ROOT / ".mypy_cache" / "typing"),
            "--config-file",
            "",
            "--explicit-package-bases",
            str(PROGRAM),
        ]
    )
    assert errors == ""
    found: dict[int, str] = {}
    for line in said.splitlines():
        if match := re.match(r".*nodes\.py:(\d+): error: (.*)", line):
            found.setdefault(int(match[1]), match[2])
    wanted = expected()
    assert found.keys() == wanted.keys(), said
    for number, text in wanted.items():
        assert found[number].startswith(text), said


class State(TypedDict):
    n: int
    log: Annotated[list[str], operator.add]


class Update(TypedDict, total=False):
    n: int
    log: list[str]


class Stray(TypedDict):
    m: int


class Twisted(TypedDict):
    n: str


def test_typed_nodes_run_as_others_do():
    builder = StateGraph(State)
    builder.typed(Update).add("a", lambda state: {"n": state["n"] + 1, "log": ["a"]})
    assert builder.add_edge(START, "a").compile().invoke({"n": 1, "log": []}) == {"n": 2, "log": ["a"]}


def test_an_update_that_is_none_of_the_state_is_refused_when_the_graph_is_built():
    builder = StateGraph(State)
    with pytest.raises(ValueError, match=r"Stray.m is no key of State. Its keys: log, n"):
        builder.typed(Stray)
    with pytest.raises(ValueError, match=r"Twisted.n is str, and State.n is int"):
        builder.typed(Twisted)
    with pytest.raises(TypeError, match="is none"):
        builder.typed(int)  # type: ignore[type-var]
