"""Random programs in LangGraph and in DashFlow: ``python -m tests.model.against_langgraph PYTHON [--programs
5000]``.

PYTHON is an interpreter that has LangGraph; without one, an environment of its own is made as for the
benchmarks (``benchmarks.environment``). The seed is printed; a difference is printed as the program and
script that show it.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from dashflow.checkpoint.memory import InMemorySaver
from tests.model import programs, strategies
from tests.model.test_model import LIB


def some(count: int, start: int) -> list:
    """Programs and scripts, as many as asked for."""
    found: list = []

    @seed(start)
    @given(strategies.cases())
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def collect(case: tuple) -> None:
        found.append(case)

    collect()
    return found


def theirs(python: str, cases: list) -> list:
    """What they come to in LangGraph."""
    done = subprocess.run(
        [python, str(Path(programs.__file__))],
        input="".join(json.dumps(case) + "\n" for case in cases),
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def same(ours: list, others: list) -> bool:
    """Whether two outcomes are the same, but for one difference that is meant.

    A task whose first question is answered and that asks a second one is still due. LangGraph leaves it out
    of ``next``, and so says that a thread which asks something is at its end.
    """
    if len(ours) != len(others):
        return False
    for one, other in zip(ours, others, strict=True):
        if isinstance(one, str) or isinstance(other, str):
            if one != other:
                return False
            continue
        fit = set(other["next"]) <= set(one["next"]) if one["asked"] else other["next"] == one["next"]
        if not fit or (one["values"], one["asked"]) != (other["values"], other["asked"]):
            return False
    return True


def differences(python: str, count: int, start: int) -> tuple[int, list]:
    """How many programs were compared, and those that differ, the smallest first: [case, ours, theirs]."""
    cases = some(count, start)
    found = []
    for case, other in zip(cases, theirs(python, cases), strict=True):
        ours = json.loads(json.dumps(programs.outcome(LIB, InMemorySaver(), *case)))
        if not same(ours, other):
            found.append((case, ours, other))
    return len(cases), sorted(found, key=lambda one: len(json.dumps(one[0])))


def main() -> int:
    """Compare; 1 when something differs."""
    parser = argparse.ArgumentParser("python -m tests.model.against_langgraph", description=__doc__)
    parser.add_argument("python", nargs="?", help="an interpreter that has LangGraph")
    parser.add_argument("--programs", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    python = options.python
    if python is None:
        from benchmarks.environment import langgraph_python

        python = str(langgraph_python())
    compared, found = differences(python, options.programs, options.seed)
    print(f"{compared:,} programs from seed {options.seed}: {len(found)} differ from LangGraph")
    for case, ours, others in found[:5]:
        print(f"\n{json.dumps(case)}\n  DashFlow:  {json.dumps(ours)}\n  LangGraph: {json.dumps(others)}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
