"""Who imports whom: layers, cycles, exports, and what an import costs."""

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import grimp
import pytest

# Packages that the graph API may not load; a prefix, so that their companions count too.
HEAVY = (
    "langchain",
    "langgraph",
    "langsmith",
    "pydantic",
    "httpx",
    "requests",
    "urllib3",
    "openai",
    "anthropic",
)


def loaded_by(statement: str) -> list[str]:
    """Top-level packages that a fresh interpreter has loaded after one statement."""
    program = (
        f"import sys, json\n{statement}\nprint(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def cycles(imports: Mapping[str, set[str]]) -> Iterator[list[str]]:
    """Groups of modules that reach each other (Tarjan, without recursion)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    for root in imports:
        if root in index:
            continue
        work = [(root, iter(sorted(imports[root])))]
        index[root] = low[root] = len(index)
        stack.append(root)
        while work:
            module, rest = work[-1]
            for target in rest:
                if target not in index:
                    index[target] = low[target] = len(index)
                    stack.append(target)
                    work.append((target, iter(sorted(imports[target]))))
                    break
                if target in stack:
                    low[module] = min(low[module], index[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[module])
                if low[module] == index[module]:
                    group = stack[stack.index(module) :]
                    del stack[stack.index(module) :]
                    if len(group) > 1:
                        yield sorted(group)


@pytest.mark.feature("CI-01")
def test_imports_only_point_down(tree):
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=tree.root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.feature("CI-01")
def test_no_modules_import_each_other():
    graph = grimp.build_graph("dashflow", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert list(cycles(imports)) == []


@pytest.mark.feature("CI-01")
def test_a_cycle_would_be_found():
    knot = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}
    assert list(cycles(knot)) == [["b", "c"]]


@pytest.mark.feature("CI-01")
@pytest.mark.filterwarnings("ignore::dashflow.warnings.LangGraphDeprecationWarning")  # of former places
def test_every_exported_name_exists(tree):
    missing = []
    for source in tree.python("src"):
        if source.path.name == "__main__.py":
            continue
        module = importlib.import_module(source.module)
        missing += [
            f"{source.module}.{name}" for name in getattr(module, "__all__", ()) if not hasattr(module, name)
        ]
    assert missing == []


@pytest.mark.feature("NEW-07")
@pytest.mark.parametrize(
    "statement",
    [
        "from dashflow.graph import StateGraph",
        "from dashflow.graph import END, START, MessagesState, add_messages",
        "from dashflow.types import Command, Send, interrupt",
        "from dashflow.checkpoint.sqlite import SqliteSaver",
        "import dashflow.planner.core",
    ],
)
@pytest.mark.usefixtures("_uncounted")
def test_the_api_loads_no_heavy_package(statement):
    assert [name for name in loaded_by(statement) if name.startswith(HEAVY)] == []


@pytest.mark.feature("DX-002")
@pytest.mark.usefixtures("_uncounted")
def test_help_and_version_load_no_runtime():
    loaded = loaded_by("import dashflow.cli.app")
    assert [name for name in loaded if name.startswith((*HEAVY, "sqlite3", "rich"))] == []
