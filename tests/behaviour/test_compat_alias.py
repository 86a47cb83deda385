"""The alias: every import of ``langgraph`` gives DashFlow, in real interpreters, beside it and alone."""

import json
import os
import subprocess
import sys
import sysconfig
import textwrap
import venv
from pathlib import Path

import pytest

import dashflow

pytestmark = pytest.mark.feature("MIGRATE-002")

SOURCES = Path(dashflow.__file__).parents[1]

# A LangGraph that says so when it is loaded, and a distribution that is built on it.
BESIDE = {
    "langgraph-0.9.dist-info/METADATA": "Metadata-Version: 2.1\nName: langgraph\nVersion: 0.9\n",
    "langgraph/graph/__init__.py": "raise RuntimeError('the other LangGraph was loaded')",
    "langgraph/pregel/__init__.py": "raise RuntimeError('the other LangGraph was loaded')",
    "langgraph/types.py": "class Command: pass",
    "langgraph/config.py": "",
}
FOREIGN = {
    "langgraph/checkpoint/elsewhere/__init__.py": """
        from langgraph.checkpoint.base import BaseCheckpointSaver
        from langgraph.checkpoint.elsewhere.rows import Rows

        class ElsewhereSaver(BaseCheckpointSaver):
            rows = Rows
    """,
    "langgraph/checkpoint/elsewhere/rows.py": "class Rows: pass",
    "langgraph/checkpoint/sqlite/__init__.py": "class SqliteSaver: theirs = True",
    "built_on_it.py": """
        from langgraph.graph import StateGraph

        def build():
            builder = StateGraph(dict)
            builder.add_node("n", lambda state: {"done": True})
            builder.set_entry_point("n")
            return builder.compile()
    """,
}


def write(folder: Path, files: dict[str, str]) -> None:
    """Make files, with the folders that they are in."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))


class Interpreter:
    """A Python with DashFlow; ``lines`` is what the program printed."""

    def __init__(self, folder: Path, path: list[Path], program: str = sys.executable) -> None:
        self.folder = folder
        self._program = program
        self._environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._program, *arguments],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def lines(self, *arguments: str) -> list[str]:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def code(self, code: str) -> list[str]:
        return self.lines("-c", textwrap.dedent(code))


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python with all that is installed here, but no LangGraph."""
    folder = tmp_path_factory.mktemp("alone")
    venv.create(folder, symlinks=True)
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder)}))
    for place in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for entry in Path(place).iterdir():
            if not entry.name.startswith("langgraph"):
                (packages / entry.name).symlink_to(entry)
    return str(folder / "bin" / "python")


@pytest.fixture(params=["alone", "beside", "as installed"])
def python(request: pytest.FixtureRequest, alone: str, tmp_path: Path) -> Interpreter:
    """Interpreters without LangGraph, with a strange one first on the path, and the one that runs this."""
    work, extra = tmp_path / "work", tmp_path / "extra"
    work.mkdir()
    write(extra, FOREIGN)
    if request.param == "beside":
        write(extra, BESIDE)
    return Interpreter(work, [extra, SOURCES], alone if request.param == "alone" else sys.executable)


def test_a_module_has_two_names_and_is_one_object(python):
    assert python.code(
        """
        import importlib, sys
        from dashflow.compat import install
        install()
        import langgraph.graph as short
        import langgraph.graph.state
        from langgraph.graph import StateGraph
        import dashflow.graph.state
        print(sys.modules["langgraph.graph"] is sys.modules["dashflow.graph"] is short)
        print(langgraph.graph.state is dashflow.graph.state)
        print(StateGraph is dashflow.graph.StateGraph, StateGraph.__module__)
        print(importlib.import_module("langgraph.types") is importlib.import_module("dashflow.types"))
        print(short.__name__, short.__spec__.name, short.__spec__.loader is short.__loader__)
        print(importlib.reload(langgraph.graph) is short, sys.modules["langgraph.graph"] is short)
        """
    ) == [
        "True",
        "True",
        "True dashflow.graph.state",
        "True",
        "dashflow.graph dashflow.graph True",
        "True True",
    ]


def test_pickles_and_resources_and_versions_name_what_is_there(python):
    assert python.code(
        """
        import pickle, sys
        from importlib import metadata, resources, util
        from dashflow.compat import install
        install()
        import langgraph, langgraph.version
        from langgraph.types import Command, Send
        print(b"langgraph" in pickle.dumps(Send("n", 1)), pickle.loads(pickle.dumps(Send("n", 1))))
        # As another process wrote it.
        old = pickle.dumps(Send("n", 1), 2).replace(b"dashflow.types.commands", b"langgraph.types")
        print(type(pickle.loads(old)) is Send)
        print((resources.files("langgraph.graph") / "state.py").is_file())
        print(metadata.version("langgraph") == langgraph.version.__version__ >= "1.2")
        print(metadata.distribution("langgraph_checkpoint").metadata["Name"])
        print(util.find_spec("langgraph.types").name, util.find_spec("langgraph.absent"))
        """
    ) == [
        "False Send(node='n', arg=1)",
        "True",
        "True",
        "True",
        "langgraph-checkpoint",
        "dashflow.types None",
    ]


def test_many_threads_import_at_once(python):
    assert python.code(
        """
        import sys, threading
        from dashflow.compat import install
        install()
        start, found = threading.Barrier(8), []
        def load(name):
            start.wait()
            exec(f"from {name} import StateGraph; found.append(StateGraph)", {"found": found})
        names = ["langgraph.graph", "langgraph.graph.state", "dashflow.graph", "dashflow.graph.state"] * 2
        threads = [threading.Thread(target=load, args=(name,)) for name in names]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        print(len(found), len(set(found)))
        print(sorted({sys.modules[name].__spec__.name for name in names}))
        """
    ) == ["8 1", "['dashflow.graph', 'dashflow.graph.state']"]


def test_what_others_put_beside_langgraph_is_built_on_dashflow(python):
    assert python.code(
        """
        from dashflow.compat import install
        install()
        import built_on_it
        from langgraph.checkpoint.elsewhere import ElsewhereSaver
        from dashflow.checkpoint.base import BaseCheckpointSaver
        from dashflow.graph.state import CompiledStateGraph
        print(ElsewhereSaver.__mro__[1] is BaseCheckpointSaver, ElsewhereSaver.__module__)
        print(ElsewhereSaver.rows.__module__)
        print(type(built_on_it.build()) is CompiledStateGraph, built_on_it.build().invoke({}))
        """
    ) == [
        "True langgraph.checkpoint.elsewhere",
        "langgraph.checkpoint.elsewhere.rows",
        "True {'done': True}",
    ]


def test_a_subpackage_can_be_kept(python):
    assert python.code(
        """
        from dashflow.compat import install
        install(keep=["langgraph.checkpoint.sqlite"])
        install()
        import dashflow.checkpoint.sqlite, langgraph.checkpoint.sqlite
        from langgraph.checkpoint.sqlite import SqliteSaver
        import dashflow.checkpoint.sqlite as ours
        print(SqliteSaver.theirs, hasattr(ours.SqliteSaver, "theirs"))
        """
    ) == ["True False"]


def test_what_is_missing_is_named(python):
    said = python.code(
        """
        from dashflow.compat import install
        from dashflow.compat.names import PRIVATE
        from dashflow.errors import AliasMissingError
        install()
        PRIVATE["stream._mux"]["Gone"] = "stream"
        for statement in (
            "import langgraph.pregel._algo",
            "from langgraph.stream._mux import Gone",
            "import langgraph.absent",
            "from langgraph.stream._mux import __path__",
        ):
            try:
                exec(statement)
            except ImportError as error:
                print(isinstance(error, AliasMissingError), error.name, error, sep="|")
        """
    )
    assert [line.split("|")[:2] for line in said] == [
        ["True", "langgraph.pregel._algo"],
        ["True", "langgraph.stream._mux.Gone"],
        ["False", "langgraph.absent"],
        ["False", "langgraph.stream._mux"],
    ]
    assert "dashflow.stream.Gone" in said[1]


def test_names_private_to_langgraph_come_from_public_places(python):
    assert python.code(
        """
        from dashflow.compat import install
        install()
        from langgraph._internal._constants import CONFIG_KEY_READ, CONFIG_KEY_SEND
        from langgraph._internal._runnable import RunnableCallable
        from langgraph.stream._types import ProtocolEvent
        import dashflow.pregel.callable as callable
        import langgraph._internal._constants as constants
        print(CONFIG_KEY_READ, constants.CONFIG_KEY_RUNTIME, hasattr(constants, "__path__"))
        print(RunnableCallable is callable.RunnableCallable, ProtocolEvent.__name__)
        """
    ) == ["__pregel_read __pregel_runtime False", "True ProtocolEvent"]


def test_installing_too_late_is_refused_and_too_early_is_not(python):
    assert python.code(
        """
        import sys, types
        from dashflow.compat import install, uninstall
        from dashflow.errors import AliasInstallError
        used = types.ModuleType("langgraph.graph")
        used.__file__ = "graph.py"
        sys.modules["langgraph.graph"] = used
        try:
            install()
        except AliasInstallError as error:
            print(error.data["modules"], "-m dashflow.compat" in str(error))
        del sys.modules["langgraph.graph"]
        # A namespace package holds nothing.
        sys.modules["langgraph"] = empty = types.ModuleType("langgraph")
        empty.__path__ = []
        install()
        import langgraph.types
        print(langgraph is empty, langgraph.types.__name__)
        uninstall()
        uninstall()
        print([name for name in sys.modules if name.startswith("langgraph")])
        """
    ) == ["['langgraph.graph'] True", "True dashflow.types", "[]"]


@pytest.mark.parametrize("name", ["langgraph", "langgraph.graph", "langgraph.checkpoint", "other.sqlite"])
def test_only_other_distributions_can_be_kept(name):
    from dashflow.compat import install
    from dashflow.errors import AliasInstallError

    with pytest.raises(AliasInstallError, match="cannot be kept"):
        install(keep=[name])


PROGRAM = """
    '''A program that knows nothing of DashFlow.'''
    import json, pickle, sys
    from langgraph.graph import StateGraph
    import beside

    class Here:
        pass

    if __name__ == "__main__":
        print(json.dumps({
            "argv": sys.argv, "file": __file__, "graph": StateGraph.__module__, "beside": beside.FOUND,
            "doc": __doc__[:9], "main": type(pickle.loads(pickle.dumps(Here()))) is Here,
        }))
        sys.exit(int(sys.argv[-1]))
"""


@pytest.fixture
def program(python: Interpreter) -> Path:
    """A program in a folder of its own, with a module and a package beside it."""
    write(
        python.folder / "programs",
        {
            "program.py": PROGRAM,
            "beside.py": "FOUND = True",
            "package/__init__.py": "",
            "package/__main__.py": PROGRAM,
        },
    )
    return python.folder / "programs"


def test_a_program_runs_unchanged(python, program):
    done = python.run("-m", "dashflow.compat", "programs/program.py", "--keep", "3")
    assert done.returncode == 3, done.stderr
    assert json.loads(done.stdout) == {
        "argv": ["programs/program.py", "--keep", "3"],
        "file": str(program / "program.py"),
        "graph": "dashflow.graph.state",
        "beside": True,
        "doc": "A program",
        "main": True,
    }


@pytest.mark.parametrize(("module", "file"), [("program", "program.py"), ("package", "package/__main__.py")])
def test_a_module_runs_unchanged(python, program, module, file):
    python.folder = program
    done = python.run("-m", "dashflow.compat", "-m", module, "0")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["argv"] == [str(program / file), "0"]
    assert said["graph"] == "dashflow.graph.state"


def test_processes_that_the_program_starts_inherit_the_alias(python):
    write(
        python.folder,
        {
            "program.py": """
                import multiprocessing, subprocess, sys
                from langgraph.graph import StateGraph

                def where():
                    from langgraph.checkpoint.sqlite import SqliteSaver
                    return StateGraph.__module__, SqliteSaver.theirs

                if __name__ == "__main__":
                    with multiprocessing.get_context("spawn").Pool(1) as pool:
                        print(*pool.apply(where), flush=True)
                    subprocess.run([sys.executable, "child.py"], check=True)
            """,
            "child.py": "from langgraph.types import Send; print(Send.__module__)",
        },
    )
    assert python.lines("-m", "dashflow.compat", "--keep", "langgraph.checkpoint.sqlite", "program.py") == [
        "dashflow.graph.state True",
        "dashflow.types.commands",
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "usage:"),
        (["--help"], "usage:"),
        (["absent.py"], "No program 'absent.py'"),
        (["-m", "absent"], "No module 'absent'"),
        (["-m", "absent.module"], "No module 'absent.module'"),
        (["--keep", "langgraph.graph", "x.py"], "cannot be kept"),
    ],
)
def test_what_cannot_be_run_is_said_in_one_message(tmp_path, arguments, says):
    done = Interpreter(tmp_path, [SOURCES]).run("-m", "dashflow.compat", *arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_compiled_graphs_are_generic_for_annotations():
    from dashflow.graph.state import CompiledStateGraph
    from dashflow.pregel import Pregel

    class State(dict):
        pass

    assert Pregel[State, None, State, State].__origin__ is Pregel
    assert CompiledStateGraph[State].__origin__ is CompiledStateGraph


def test_the_runtime_is_in_the_config_where_packages_look_for_it():
    from dashflow.graph import START, StateGraph
    from dashflow.store.memory import InMemoryStore

    seen = []

    def node(state, config):
        seen.append(config["configurable"]["__pregel_runtime"].store)
        return {}

    builder = StateGraph(dict)
    builder.add_node("node", node)
    builder.add_edge(START, "node")
    store = InMemoryStore()
    builder.compile(store=store).invoke({})
    assert seen == [store]
