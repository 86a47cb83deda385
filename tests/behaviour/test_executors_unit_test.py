"""Running real projects' tests in real processes: what is found, what is kept away, what is taken down."""

import importlib
import json
import os
import select
import signal
import subprocess
import sys
import textwrap
import venv
from pathlib import Path

import pytest

from dashflow.planner.core.task import Task, TaskKind
from dashflow.planner.executors import limits
from dashflow.planner.executors.base import Completed, Execution, Failed, Outcome
from dashflow.planner.executors.unit_test import UnitTestExecutor

pytestmark = pytest.mark.feature("EXEC-01")


PYTEST = ("pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments", "py")


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(textwrap.dedent(text))
    return folder


def environment(folder: Path, *packages: str) -> Path:
    """A virtual environment that has only the named ones of our packages; its interpreter."""
    venv.create(folder, symlinks=True)
    (inside,) = (folder / "lib").glob("python*/site-packages")
    for package in packages:
        place = Path(importlib.import_module(package).__file__ or "")
        place = place.parent if place.name.startswith("__init__") else place
        (inside / place.name).symlink_to(place)
    return folder / "bin" / "python"


def light(folder: Path, files: dict[str, str]) -> Path:
    """A project with pytest in an environment of its own, without our plugins: quick to start."""
    environment(folder / "env", *PYTEST)
    return write(folder, files)


def run(
    folder: Path | None, inputs: dict | None = None, cancelled=lambda: False, **params: object
) -> Outcome:
    task = Task("t1", "Run the tests", TaskKind.UNIT_TEST, params={"timeout_seconds": 120, **params})
    return UnitTestExecutor().execute(
        Execution(
            run="r1",
            task=task,
            folder=folder,
            out=Path("/nonexistent/out"),
            inputs=inputs or {},
            tasks={"t1": task},
            goal="test",
            idempotency_key="r1/t1",
            progress=lambda text: None,
            cancelled=cancelled,
        )
    )


def result(outcome: Outcome) -> dict:
    assert isinstance(outcome, Completed), outcome
    return outcome.result


def found(outcome: Outcome) -> list[tuple]:
    return [tuple(one.values()) for one in result(outcome)["findings"]]


def brief(told: dict) -> list[str]:
    """Findings of tests as ``kind path:line name: value``, a name without the path that it begins with."""
    lines = []
    for one in told["findings"]:
        name = one["name"].removeprefix(one["path"]).removeprefix("::")
        lines.append(
            f"{one['kind'].removeprefix('test_')} {one['path']}:{one['line']} {name}: {one['value']}"
        )
    return lines


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


PROJECT = {
    # options that would stop early, write into the folder or need the cache
    "pyproject.toml": """
        [tool.pytest.ini_options]
        addopts = "-x --lf --cov=src --cov-report=html --junitxml=own.xml"
        cache_dir = "own_cache"
        """,
    "src/shop/__init__.py": "def price():\n    return 1\n",
    "tests/test_shop.py": """
        import os, sys, pytest
        from shop import price

        class TestPrice:
            def test_wrong(self, tmp_path):
                check = object()
                assert (price(), str(tmp_path), repr(check)) == 2

            @pytest.mark.parametrize("n", [1, 2])
            def test_some(self, n):
                assert n == 1, "only one\\nand a second line"

        def test_called():
            broken()

        def broken():
            raise RuntimeError("boom | `<b>`")

        @pytest.fixture
        def bad():
            raise OSError("no set-up")

        def test_fixture(bad): ...

        @pytest.mark.skip
        def test_skipped(): ...

        def test_nothing_secret_and_no_input():
            assert not [name for name in os.environ if "SECRET" in name or "TOKEN" in name]
            assert os.read(0, 1) == b""
            assert os.environ["PATH"] and os.environ["HOME"]
        """,
    "tests/test_import.py": "\n\nimport absent_module\n",
    "tests/test_syntax.py": "x = 1\ndef f(:\n",
    "old/test_old.py": "def test_old(): assert False, 'must not run'\n",
    "gone/test_gone.py": "def test_gone(): assert False, 'must not run'\n",
    ".gitignore": "/gone/\n",
}
LEFT_OUT = {"t0": {"topic": "exclude", "exclude": ["old", "absent"]}}


def test_a_project_with_all_kinds_of_trouble(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_SECRET", "x")
    monkeypatch.setenv("GITHUB_TOKEN", "x")
    folder = write(tmp_path / "project", PROJECT)
    before = snapshot(folder)
    outcome = run(folder, LEFT_OUT)
    assert brief(result(outcome)) == [
        "error tests/test_import.py:3 : ModuleNotFoundError: No module named 'absent_module'",
        "failure tests/test_shop.py:8 TestPrice::test_wrong: "
        "AssertionError: assert (1, '<tmp>', '<object object>') == 2",
        "failure tests/test_shop.py:12 TestPrice::test_some[2]: AssertionError: only one",
        "failure tests/test_shop.py:18 test_called: RuntimeError: boom | `<b>`",
        'error tests/test_shop.py:22 test_fixture: failed on setup with "OSError: no set-up"',
        "error tests/test_syntax.py:2 : SyntaxError: invalid syntax",
    ]
    told = result(outcome)
    assert told["summary"] == "7 tests run with pytest: 3 failed, 3 broke, 1 skipped"
    numbers = [told[name] for name in ("tests", "failures", "errors", "skipped")]
    assert (told["runner"], numbers) == ("pytest", [7, 3, 3, 1])
    assert told["notes"] == ["There is no folder 'absent' to leave out."]
    assert snapshot(folder) == before, "the tests left something behind in the folder"
    assert run(folder, LEFT_OUT) == outcome, "a second run told something else"


def test_failing_tests_complete_the_task_unless_they_must_pass(tmp_path):
    folder = light(tmp_path, {"test_a.py": "def test_a(): assert 0\ndef test_b(): assert 1\n"})
    assert [one[0] for one in found(run(folder))] == ["test_failure"]
    outcome = run(folder, must_pass=True)
    assert isinstance(outcome, Failed)
    assert "test_a.py::test_a" in outcome.error


@pytest.mark.parametrize("files", [{}, {"a.py": "x = 1\n", "testing.txt": ""}, {"test_a.py": "x = 1\n"}])
def test_no_tests_is_a_finding(tmp_path, files):
    folder = light(tmp_path / "p", {"README": "", **files})
    assert found(run(folder)) == [("no_tests", ".", 0, "", "no tests were found")]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"conftest.py": "import absent_module\n"}, "No module named 'absent_module'"),
        ({"pytest.ini": "[pytest]\naddopts = --unheard-of\n"}, "unrecognized arguments: --unheard-of"),
        ({"test_b.py": "import os\nos._exit(3)\n"}, "(exit code 3)"),
        ({"test_b.py": "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n"}, "crashed"),
        ({"test_b.py": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"}, "was killed"),
    ],
)
def test_tests_that_cannot_run_are_a_finding(tmp_path, files, told):
    ((kind, path, line, name, value),) = found(
        run(light(tmp_path, {"test_a.py": "def test_a(): ...\n", **files}))
    )
    assert (kind, path, line, name) == ("tests_unrunnable", ".", 0, "")
    assert told in value


HANGS = """
    import os, subprocess, sys, time

    def test_hangs():
        program = "import os, sys, time; print(os.getpid(), flush=True); os.close(1); time.sleep(600)"
        started = [
            subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=apart)
            for apart in (False, True)
        ]
        pids = [os.getpid(), *(int(one.stdout.readline()) for one in started)]
        with open(os.path.join(os.path.dirname(__file__), "pids.part"), "w") as file:
            file.write(" ".join(map(str, pids)))
        os.replace(file.name, file.name[:-5])
        time.sleep(600)
    """


def gone(folder: Path) -> bool:
    """Whether none of the processes whose ids a test wrote down is alive."""
    for pid in (folder / "pids").read_text().split():
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            continue
        if Path(f"/proc/{pid}/stat").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
            continue
        return False
    return True


def test_a_cancel_takes_down_all_that_was_started(tmp_path):
    folder = light(tmp_path, {"test_a.py": HANGS})
    outcome = run(folder, cancelled=(folder / "pids").exists)
    assert outcome == Failed("Stopped: the result is no longer wanted.")
    assert gone(folder)


def test_time_that_is_over_is_a_finding_and_nothing_is_left_running(tmp_path):
    folder = light(tmp_path, {"test_a.py": HANGS})
    ((kind, path, *_, value),) = found(run(folder, timeout_seconds=6))
    assert (kind, path) == ("tests_unrunnable", ".")
    assert value == "the tests were not done after 6 seconds and were stopped"
    assert not (folder / "pids").exists() or gone(folder)


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waits for processes that are not its own children")
def test_when_we_are_killed_the_tests_go_with_us_and_so_does_what_they_wrote(tmp_path):
    folder = light(tmp_path / "project", {"test_a.py": HANGS})
    (tmp_path / "scratch").mkdir()
    program = f"""
    import sys
    sys.path[:0] = {sys.path!r}
    from pathlib import Path
    from dashflow.planner.core.task import Task, TaskKind
    from dashflow.planner.executors.base import Execution
    from dashflow.planner.executors.unit_test import UnitTestExecutor
    task = Task("t1", "Run", TaskKind.UNIT_TEST)
    folder, told = Path({str(folder)!r}), []
    def cancelled():
        if (folder / "pids").exists() and not told:
            told.append(print("running", flush=True))
        return False
    UnitTestExecutor().execute(Execution(run="r", task=task, folder=folder, out=folder / "out", inputs={{}},
        tasks={{}}, goal="", idempotency_key="", progress=str, cancelled=cancelled))
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path / "scratch")},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"running\n"
    pids = [int(pid) for pid in (folder / "pids").read_text().split()]
    launcher = int(Path(f"/proc/{pids[0]}/stat").read_text().rpartition(")")[2].split()[1])
    assert os.listdir(tmp_path / "scratch") != []
    ends = [os.pidfd_open(pid) for pid in (*pids, launcher)]
    process.kill()
    process.wait()
    process.stdout.close()
    for end in ends:
        assert select.select([end], [], [], 60)[0], "a process outlived us"
        os.close(end)
    assert os.listdir(tmp_path / "scratch") == []


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("while True: pass", 128 + signal.SIGXCPU),
        ("print(open('big', 'wb').write(b'x' * 2_000_000))", 1),
        ("bytearray(1_000_000_000)", 1),
        ("import sys; sys.exit(len(sys.stdin.read()) + 7)", 7),
    ],
)
def test_the_launcher_bounds_what_it_runs(tmp_path, program, code):
    listening, lifeline = os.pipe()
    launcher = [sys.executable, "-I", "-S", limits.__file__, str(listening), str(tmp_path / "scratch")]
    bounds = ["1", "500000000", "1000000"]
    done = subprocess.run(
        [*launcher, *bounds, sys.executable, "-c", program],
        pass_fds=(listening,),
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    os.close(listening)
    os.close(lifeline)
    assert done.returncode == code


def test_memory_and_output_are_bounded(tmp_path):
    text = """
        import os

        def test_greedy():
            hoard = bytearray(3_000_000_000)

        def test_loud():
            for _ in range(300):
                os.write(1, b"x" * 100_000)
                os.write(2, b"y" * 100_000)
        """
    folder = light(tmp_path, {"test_a.py": text, "pytest.ini": "[pytest]\naddopts = -s\n"})
    assert found(run(folder, memory_mb=1500)) == [
        ("test_failure", "test_a.py", 5, "test_a.py::test_greedy", "MemoryError")
    ]


def test_the_folder_s_own_environment_is_used_when_it_has_pytest(tmp_path):
    folder = write(
        tmp_path, {"test_a.py": "import sys\ndef test_a(): assert sys.prefix.endswith('/env') == 7\n"}
    )
    environment(folder / "env", *PYTEST)
    ((*_, value),) = found(run(folder))
    assert value.startswith("AssertionError: assert True == 7")
    (folder / "env" / "pyvenv.cfg").rename(folder / "env" / "no.cfg")
    ((*_, value),) = found(run(folder))
    assert value.startswith("AssertionError: assert False == 7")


UNITTESTS = {
    "tests/__init__.py": "",
    "tests/test_shop.py": """
        import unittest
        from shop import price

        class TestPrice(unittest.TestCase):
            def test_right(self):
                self.assertEqual(price(), 1)

            def test_wrong(self):
                self.assertEqual(price(), 2)

            def test_broken(self):
                broken()

            def test_parts(self):
                for n in (1, 2):
                    with self.subTest(n=n):
                        self.assertEqual(n, 1)

            @unittest.skip("later")
            def test_skipped(self): ...

            @unittest.expectedFailure
            def test_unexpected(self): ...

        class TestSetUp(unittest.TestCase):
            @classmethod
            def setUpClass(cls):
                raise OSError("no set-up")
            def test_never(self): ...

        def broken():
            raise RuntimeError(f"boom {object()}")
        """,
    "more/test_shop.py": """import unittest, shop
class TestMore(unittest.TestCase):
    def test_m(self): self.fail('x')
""",
    "more/test_import.py": "\nimport absent_module\n",
    "more/test_exit.py": "import sys\nsys.exit(3)\n",
    "more/test_syntax.py": "\n\ndef f(:\n",
    "old/test_old.py": "raise SystemError('must not run')\n",
    "shop.py": "def price():\n    return 1\n",
}


def test_without_pytest_unittest_runs_and_tells_the_same(tmp_path):
    """In an interpreter that has what we need and no pytest."""
    folder = write(tmp_path / "project", UNITTESTS)
    python = environment(
        tmp_path / "bare", "msgspec", "ormsgpack", "typing_extensions", "xxhash", "pathspec", "dashflow"
    )
    program = """
    import json, sys
    from pathlib import Path
    from dashflow.planner.core.task import Task, TaskKind
    from dashflow.planner.executors.base import Execution
    from dashflow.planner.executors.unit_test import UnitTestExecutor
    task = Task("t1", "Run", TaskKind.UNIT_TEST)
    for folder in map(Path, sys.argv[1:]):
        left_out = {"t0": {"topic": "exclude", "exclude": ["old"]}}
        outcome = UnitTestExecutor().execute(Execution(run="r", task=task, folder=folder, out=folder / "out",
            inputs=left_out, tasks={}, goal="", idempotency_key="", progress=str, cancelled=lambda: False))
        print(json.dumps(outcome.result))
    """
    other = write(tmp_path / "other", {"test_a.py": "def test_a(): assert 0\n"})
    before = snapshot(folder)
    done = subprocess.run(
        [python, "-c", textwrap.dedent(program), folder, folder, other],
        capture_output=True,
        text=True,
        check=True,
    )
    first, second, third = done.stdout.splitlines()
    assert first == second, "a second run told something else"
    assert snapshot(folder) == before
    told = json.loads(first)
    assert told["summary"] == "7 tests run with unittest: 4 failed, 5 broke, 1 skipped"
    assert brief(told) == [
        "error more/test_exit.py:2 : SystemExit: 3",
        "error more/test_import.py:2 : ModuleNotFoundError: No module named 'absent_module'",
        "failure more/test_shop.py:3 TestMore::test_m: AssertionError: x",
        "error more/test_syntax.py:3 : SyntaxError: invalid syntax",
        "failure tests/test_shop.py:0 TestPrice::test_unexpected: Unexpected success",
        "failure tests/test_shop.py:10 TestPrice::test_wrong: AssertionError: 1 != 2",
        "failure tests/test_shop.py:18 TestPrice::test_parts: AssertionError: 2 != 1",
        "error tests/test_shop.py:29 TestSetUp: OSError: no set-up",
        "error tests/test_shop.py:33 TestPrice::test_broken: RuntimeError: boom <object object>",
    ]
    ((kind, *_, value),) = [tuple(one.values()) for one in json.loads(third)["findings"]]
    assert (kind, value) == (
        "no_tests",
        "no unittest tests in 1 test files, and pytest is not installed to run others",
    )


@pytest.mark.parametrize("params", [{"timeout_seconds": 0}, {"timeout_seconds": "5"}, {"memory_mb": 1}])
def test_wrong_params_fail_and_say_so(tmp_path, params):
    outcome = run(tmp_path, **params)
    assert isinstance(outcome, Failed)
    assert next(iter(params)) in outcome.error


def test_without_a_folder_it_fails_and_says_so(tmp_path):
    for folder in (None, tmp_path / "absent"):
        outcome = run(folder)
        assert isinstance(outcome, Failed)
        assert "--on" in outcome.error


def test_ctrl_c_in_the_terminal_is_not_passed_on(tmp_path):
    """The tests run in a session of their own, so a signal to our group does not reach them."""
    text = (
        "import os\ndef test_a():\n    assert os.getsid(0) == os.getpid()\n    assert os.getpgid(0) != {}\n"
    )
    folder = light(tmp_path, {"test_a.py": text.format(os.getpgid(0))})
    assert found(run(folder)) == []
    assert signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL
