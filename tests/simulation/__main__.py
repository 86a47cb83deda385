"""``python -m tests.simulation``: many cases at once, one case again, or cases without end.

    python -m tests.simulation                          100,000 cases on all cores, as CI does
    python -m tests.simulation --cases 500              so many
    python -m tests.simulation --minutes 60             as many as there is time for (0: until stopped)
    python -m tests.simulation --scenario chain --seed 7 --at=-12      one case, again

A crash point is the number of a port call; negative: the process dies after the call took effect. What fails
is made smaller, and printed with the command that repeats it.
"""

import argparse
import os
import sys
import time

from tests.simulation.campaign import Part, campaign
from tests.simulation.cases import SCENARIOS, Case, Failed, run


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for; 1 when a case failed."""
    options = _options(arguments)
    if options.at is not None or (options.scenario and options.seed is not None and not options.cases):
        return _one(options)
    return _many(options)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.simulation", description=__doc__.partition("\n")[0])
    parser.add_argument("--scenario", choices=SCENARIOS)
    parser.add_argument("--seed", type=int, help="the first seed")
    parser.add_argument("--at", help="crash points, with commas between them")
    parser.add_argument("--cases", type=int, help="how many (100,000)")
    parser.add_argument("--minutes", type=float, help="go on for so long; 0: until stopped")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    return parser.parse_args(arguments)


def _one(options: argparse.Namespace) -> int:
    crashes = tuple(map(int, options.at.split(","))) if options.at else ()
    case = Case(options.scenario, options.seed or 0, crashes)
    try:
        calls = run(case)
    except Failed as failure:
        print(f"FAILED {failure}")
        raise failure.error from None
    print(f"{case.command}: ok, {calls} port calls")
    return 0


def _many(options: argparse.Namespace) -> int:
    workers = options.workers
    base = 1 if options.seed is None else options.seed
    until = None if options.minutes is None else time.monotonic() + (options.minutes * 60 or 10**9)
    count = options.cases or (100_000 if options.minutes is None else sys.maxsize)
    share = -(-count // workers)
    begun = time.monotonic()
    print(f"Simulation: seeds from {base}, {workers} processes", flush=True)
    parts = [Part(base + number, workers, share, until, options.scenario) for number in range(workers)]
    found = campaign(parts)
    took = time.monotonic() - begun
    done = sum(part.done for part in found)
    calls = sum(part.calls for part in found)
    seeds = sum(part.seeds for part in found)
    failures = [failure for part in found for failure in part.failures]
    speed = f"{took:.0f} s ({done / took:,.0f}/s, {sum(part.cpu for part in found):.0f} s of CPU)"
    print(
        f"{done:,} crash points x schedules in {seeds:,} seeds ({base} to {base + seeds - 1}), "
        f"{calls:,} port calls, {speed}: {len(failures)} failures"
    )
    for failure in failures:
        print(f"FAILED {failure}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
