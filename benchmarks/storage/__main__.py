"""``python -m benchmarks.storage [FLIPS]``: the same faults of storage for both packages, one table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from benchmarks.environment import ROOT, UnavailableError, langgraph_python
from benchmarks.table import versions


def measured(package: str, python: str, flips: str) -> dict[str, Any]:
    """What one package comes to, in a process of its own environment."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    if package == "langgraph":
        environment["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(
        [python, "-m", "benchmarks.storage.measure", package, flips],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=ROOT,
    )
    if done.returncode:
        sys.exit(f"{package}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> int:
    """Measure and print."""
    flips = sys.argv[1] if len(sys.argv) > 1 else "400"
    pythons = {"dashflow": sys.executable}
    try:
        pythons["langgraph"] = str(langgraph_python())
    except UnavailableError as problem:
        print(f"==> {problem}", file=sys.stderr)
    found = {package: measured(package, python, flips) for package, python in pythons.items()}
    print(f"{versions(pythons)}, Python {sys.version.split()[0]}\n")
    print("| fault | what | DashFlow | LangGraph |\n|---|---|---|---|")
    theirs = found.get("langgraph", {})
    for fault, counts in found["dashflow"].items():
        for what, count in counts.items():
            print(f"| {fault} | {what} | {count} | {theirs.get(fault, {}).get(what, '')} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
