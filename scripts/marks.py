"""The marks on the tests, as pytest's own collection has them.

So inherited contract tests and module-wide marks count.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

COLLECTOR = """
import sys
import pytest

MARK = {mark!r}

class Collector:
    def pytest_collection_finish(self, session):
        for item in session.items:
            for mark in item.iter_markers(MARK):
                for name in mark.args:
                    print("mark", name, item.nodeid.split("[")[0], sep="\\t")

quiet = ["--collect-only", "-qq", "-p", "no:cacheprovider", "-p", "no:xdist"]
sys.exit(pytest.main([*quiet, "tests"], [Collector()]))
"""


def collect_marks(mark: str) -> dict[str, list[str]]:
    """Ids of tests by the arguments of a mark.

    Raises:
        SystemExit: Collecting failed; with pytest's words.
    """
    done = subprocess.run(
        [sys.executable, "-c", COLLECTOR.format(mark=mark)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 5):
        sys.exit(f"The tests cannot be collected:\n{done.stdout}{done.stderr}")
    proofs: dict[str, set[str]] = {}
    for line in done.stdout.splitlines():
        if line.startswith("mark\t"):
            _, name, test = line.split("\t")
            proofs.setdefault(name, set()).add(test)
    return {name: sorted(tests) for name, tests in proofs.items()}
