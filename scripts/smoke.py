"""Install the built wheel into a new environment and use it as a stranger would.

Nothing of the working tree is on the path: every command runs in a folder of its own. Fails with the
output of the first step that does not do what it should.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

IMPORTS = """
import importlib, pkgutil, dashflow
# dashflow.testing needs pytest, which is an extra; LangGraph's former path for types warns by being imported.
skipped = ("dashflow.testing.", "dashflow.pregel.types")
found = [module.name for module in pkgutil.walk_packages(dashflow.__path__, "dashflow.")]
driven = (  # what these need is an extra, too
    "checkpoint.postgres", "store.postgres", "log.postgres", "_util.postgres")
postgres = [name for name in found if name.startswith(tuple(f"dashflow.{d}" for d in driven))]
names = [
    name
    for name in found
    if not name.startswith(skipped) and not name.endswith("__main__") and name not in postgres
]
for name in names:
    importlib.import_module(name)
for name in postgres:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        assert "pip install 'dashflow[postgres]'" in str(error), (name, error)
    else:
        raise AssertionError(f"{name} needs no driver; it is not skipped for nothing")
assert "smoke" in dashflow.__file__, dashflow.__file__
print(len(names), "modules")
"""

GRAPH = """
import operator
from typing import Annotated, TypedDict
from dashflow.checkpoint.sqlite import SqliteSaver
from dashflow.graph import END, START, StateGraph
from dashflow.types import Command, interrupt

class State(TypedDict):
    words: Annotated[list[str], operator.add]

def ask(state: State) -> dict[str, list[str]]:
    return {"words": [interrupt("which word?")]}

builder = StateGraph(State)
builder.add_node("ask", ask)
builder.add_edge(START, "ask")
builder.add_edge("ask", END)
config = {"configurable": {"thread_id": "1"}}
with SqliteSaver.from_conn_string("graph.db") as saver:
    builder.compile(checkpointer=saver).invoke({"words": ["hello"]}, config)
with SqliteSaver.from_conn_string("graph.db") as saver:
    result = builder.compile(checkpointer=saver).invoke(Command(resume="world"), config)
assert result == {"words": ["hello", "world"]}, result
print(result)
"""

GOAL = "Find functions longer than 60 lines and TODO comments, and write a report."


def main(dist: Path, environment: Path) -> int:
    """Try the only wheel in ``dist`` in a new environment at ``environment``; return 0 or 1."""
    wheels = list(dist.glob("*.whl"))
    if len(wheels) != 1:
        print(f"Smoke test: {dist} holds {len(wheels)} wheels, not one; run `make package`.")
        return 1
    venv.create(environment, clear=True, with_pip=True, symlinks=True)
    scripts = environment.resolve() / "bin"
    python, dashflow = str(scripts / "python"), str(scripts / "dashflow")
    version = wheels[0].name.split("-")[1]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project = folder / "project"
        project.mkdir()
        (project / "app.py").write_text("def main():\n    pass  # TODO: say hello\n")
        _step("install", [python, "-m", "pip", "install", "--quiet", str(wheels[0].resolve())], folder)
        _step("import every module", [python, "-W", "error", "-c", IMPORTS], folder)
        said = _step("dashflow --version", [dashflow, "--version"], folder)
        if version not in said:
            print(f"Smoke test: --version says {said!r}, the wheel is {version}.")
            return 1
        _step("a small graph", [python, "-W", "error", "-c", GRAPH], folder)
        _step("dashflow run", [dashflow, "run", GOAL, "--on", str(project), "--out", "out"], folder)
        findings = json.loads((folder / "out" / "report.json").read_text())["findings"]
        if [(finding["kind"], finding["path"]) for finding in findings] != [("todo", "app.py")]:
            print(f"Smoke test: the report should hold one TODO and holds {findings}.")
            return 1
    print("Smoke test: the wheel works in a new environment.")
    return 0


def _step(title: str, command: list[str], folder: Path) -> str:
    """Run one command without the caller's Python settings; leave with its output when it fails."""
    print(f"    {title}", flush=True)
    outside = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        command,
        cwd=folder,
        env=outside,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        print(f"Smoke test: {title} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        sys.exit(1)
    return done.stdout


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: smoke.py DIST ENVIRONMENT")
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
