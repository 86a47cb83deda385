"""The environment that LangGraph is measured in: a virtual environment of its own, made once.

DashFlow's environment is never touched. Without the package index there is no LangGraph column.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".venv-bench"
PINNED = (
    "langgraph==1.2.22",
    "langgraph-checkpoint-sqlite==3.1.2",
    "langgraph-checkpoint-postgres==3.2.0",
    "psycopg[binary,pool]==3.3.9",
)
_STRAY = ("LANGSMITH_", "LANGCHAIN_", "LANGGRAPH_", "COVERAGE_", "PYTHONPROFILE", "PYTHONDEVMODE")


class UnavailableError(Exception):
    """Something that is measured with cannot be had; the text says why and what to do."""


def langgraph_python() -> Path:
    """The interpreter of LangGraph's environment, which is made when it is not there.

    Raises:
        UnavailableError: It cannot be made, most likely because the package index cannot be reached.
    """
    python = FOLDER / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = FOLDER / "pinned.txt"
    wanted = "\n".join((sys.version, *PINNED))
    if python.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    print(f"==> Installing {', '.join(PINNED)} into {FOLDER.name} (once)", file=sys.stderr, flush=True)
    _run(sys.executable, "-m", "venv", "--clear", str(FOLDER))
    (FOLDER / ".gitignore").write_text("*\n", encoding="utf-8")
    _run(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PINNED)
    stamp.write_text(wanted, encoding="utf-8")
    return python


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        errors = [line for line in said if line.startswith("ERROR")] or said or ["no message"]
        raise UnavailableError(
            f"LangGraph cannot be installed: {errors[-1]}\n"
            "Its columns stay empty. Check that the package index can be reached (pip's settings apply), "
            "then run this again."
        )


def clean_environment(package: str, cache: Path) -> dict[str, str]:
    """The variables that a measured process gets: nothing that traces, profiles or configures a package.

    Args:
        package: What it measures; DashFlow is always this tree's.
        cache: Where compiled files are kept, so that nobody compiles while being measured.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_STRAY)}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    kept.pop("PYTHONPATH", None)
    if package == "dashflow":
        kept["PYTHONPATH"] = str(ROOT / "src")
    return {**kept, "PYTHONPYCACHEPREFIX": str(cache), "LANGSMITH_TRACING": "false"}
