"""Shell completion: scripts that the shells accept, and run ids out of the log."""

import os
import shutil
import subprocess
import sys

import pytest

pytestmark = pytest.mark.feature("DX-002")


def call(folder, *words, **environment):
    return subprocess.run(
        [sys.executable, "-m", "dashflow", *words],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def complete(folder, line):
    """What Tab offers at the end of ``line``."""
    words = line.split(" ")
    done = call(
        folder,
        _DASHFLOW_COMPLETE="bash_complete",
        COMP_WORDS=line,
        COMP_CWORD=str(len(words) - 1),
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [one.partition(",")[2] for one in done.stdout.splitlines() if one]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a log of one run."""
    folder = tmp_path_factory.mktemp("completion")
    (folder / "stock.py").write_text("STOCK = 3  # TODO: count\n")
    assert call(folder, "run", "Find TODO comments.", "--on", ".").returncode == 0
    return folder


@pytest.mark.parametrize(
    ("shell", "words"),
    [("bash", ["bash", "-n"]), ("zsh", ["zsh", "-n"]), ("fish", ["fish", "--no-execute"])],
)
def test_the_shell_accepts_its_script(tmp_path, shell, words):
    done = call(tmp_path, "completion", shell)
    assert done.returncode == 0
    assert f"_DASHFLOW_COMPLETE={shell}_complete" in done.stdout
    if shutil.which(shell):
        script = tmp_path / "script"
        script.write_text(done.stdout)
        assert subprocess.run([*words, script], check=False).returncode == 0


def test_bash_completes_a_command(folder):
    program = folder / "bin" / "dashflow"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m dashflow "$@"\n')
    program.chmod(0o755)
    script = (
        f'PATH={program.parent}:$PATH; eval "$(dashflow completion bash)"; '
        'COMP_WORDS=(dashflow resu); COMP_CWORD=1; _dashflow_completion dashflow; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "resume\n"


def test_commands_and_options(folder):
    assert complete(folder, "dashflow res") == ["resume"]
    assert "--answer" in complete(folder, "dashflow run --a")
    assert complete(folder, "dashflow completion b") == ["bash"]


def test_run_ids_come_from_the_log(folder):
    offered = complete(folder, "dashflow show ")
    assert offered[0] == "last"
    (run,) = offered[1:]
    assert complete(folder, f"dashflow show {run[:4]}") == [run]
    assert complete(folder, f"dashflow --db .dashflow/log.db events --follow {run[:4]}") == [run]
    assert complete(folder, f"dashflow state --db .dashflow/log.db {run[:4]}") == [run]
    assert complete(folder, "dashflow answer x") == []


def test_goals_are_the_help_of_run_ids(folder):
    done = call(folder, _DASHFLOW_COMPLETE="zsh_complete", COMP_WORDS="dashflow show r", COMP_CWORD="2")
    assert "Find TODO comments." in done.stdout


def test_tab_never_fails_and_creates_nothing(folder):
    assert complete(folder, "dashflow show --db typo.db ") == []
    assert not (folder / "typo.db").exists()
    (folder / "junk.db").write_text("junk, and no log at all")
    assert complete(folder, "dashflow show --db junk.db ") == []


def test_version_and_completion_load_nothing_heavy(folder):
    program = (
        "import sys; before = set(sys.modules); "
        "from dashflow.cli.app import main; code = main({words!r}); "
        "loaded = {{name.partition('.')[0] for name in sys.modules.keys() - before}}; "
        "heavy = {{'rich', 'sqlite3', 'msgspec', 'langchain_core', 'pydantic'}} & loaded; "
        "sys.exit(code or (repr(heavy) if heavy else None))"
    )
    for words in (["--version"], ["--help"], ["run", "--help"], ["completion", "bash"]):
        done = subprocess.run(
            [sys.executable, "-c", program.format(words=words)], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
