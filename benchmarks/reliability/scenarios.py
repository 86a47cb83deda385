"""The faults: each is done to both packages in the same way, and counted.

Every scenario takes a package's processes, how often to try and a source of chance; returns counts by name.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

from benchmarks.reliability.programs import NODES, WIDTH
from benchmarks.reliability.victims import Victims, effects, kill, outcome, reruns

Counts = dict[str, int | float | str]
WHOLE = {
    "chain": ["in", *(f"n{number}" for number in range(NODES))],
    "fan": ["in", *(f"n{number}" for number in range(WIDTH)), "join"],
}


def killed(victims: Victims, trials: int, chance: Random, program: str, durability: str) -> Counts:
    """SIGKILL at a random moment of a run, then go on in a new process until it is through."""
    lost = repeated = finished_again = wrong = kills = 0
    while kills < trials:
        file = victims.file()
        process = victims.start(program, "run", file, "t", durability)
        _after_effects(file, chance.randint(1, 2 * len(WHOLE[program]) - 4), process)
        if not kill(process):
            continue  # it was through before
        kills += 1
        found = victims.do(program, "resume", file, "t", durability)
        if "error" in found:
            lost += 1
            continue
        wrong += sorted(found["result"]) != sorted(WHOLE[program])
        repeated += sum(count - 1 for line, count in effects(file).items() if line.startswith("start"))
        finished_again += reruns(file)
    return {
        "kills": kills,
        "runs lost": lost,
        "wrong states": wrong,
        "nodes repeated": repeated,
        "of them finished before": finished_again,
    }


def _after_effects(file: str, count: int, process: object) -> None:
    """Wait until so many effects have happened, or a while has passed."""
    end = time.monotonic() + 20
    while sum(effects(file).values()) < count and time.monotonic() < end:
        if process.poll() is not None:  # type: ignore[attr-defined]  # a process
            return
        time.sleep(0.0005)


def accepted(victims: Victims, trials: int, chance: Random, durability: str) -> Counts:
    """SIGKILL at the first line of the first node: is the input there?"""
    lost = 0
    for _ in range(trials):
        file = victims.file()
        process = victims.start("chain", "run", file, "t", durability)
        _after_effects(file, 1, process)
        kill(process)
        found = victims.do("chain", "resume", file, "t", durability)
        lost += "error" in found or found["result"] != WHOLE["chain"]
    return {"trials": trials, "accepted inputs lost": lost}


def unasked(victims: Victims, trials: int, chance: Random) -> Counts:
    """SIGKILL of a run; then the package is started, but nobody names the thread."""
    finished = 0
    for _ in range(trials):
        file = victims.file()
        process = victims.start("chain", "run", file)
        _after_effects(file, 5, process)
        kill(process)
        found = victims.do("chain", "worker", file)
        finished += (found.get("result") or {}).get("log") == WHOLE["chain"]
    return {"trials": trials, "finished unasked": finished}


def owners(victims: Victims, trials: int, chance: Random, processes: int) -> Counts:
    """Several processes answer one approval at the same moment."""
    paid = steps = told = 0
    for _ in range(trials):
        file = victims.file()
        victims.do("payment", "run", file)
        rivals = [victims.start("payment", "answer", file, "t", f"by{one}") for one in range(processes)]
        for one in rivals:
            assert one.stdout is not None
            one.stdout.readline()  # it is ready
        for one in rivals:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        told += sum("result" in outcome(one) for one in rivals)
        counted = effects(file)
        paid += counted["end pay"]
        steps += sum(counted.values()) - counted["end pay"]
    return {
        "trials": trials,
        "payments": paid,
        "steps after it": steps,
        "callers told that all is well": told,
    }


def inputs(victims: Victims, trials: int, chance: Random) -> Counts:
    """Ten inputs for one thread at once."""
    acknowledged = kept = 0
    for _ in range(trials):
        found = victims.do("talk", "inputs", victims.file(), "t", "10")
        result = found.get("result") or {"acknowledged": [], "kept": []}
        acknowledged += len(result["acknowledged"])
        kept += len(set(result["acknowledged"]) & set(result["kept"]))
    return {"acknowledged": acknowledged, "kept": kept, "lost": acknowledged - kept}


def cancelled(victims: Victims, trials: int, chance: Random) -> Counts:
    """A run is cancelled while a node swallows the cancel."""
    went_on = after = 0
    for _ in range(trials):
        file = victims.file()
        found = victims.do("swallow", "cancelled", file)
        went_on += found.get("result") != "cancelled"
        after += effects(file)["end after"]
    return {"cancels": trials, "not heard of by the caller": went_on, "next nodes run": after}


def planted(victims: Victims, trials: int, chance: Random) -> Counts:
    """A stored value names ``os.mkdir``; somebody looks at the thread."""
    file = victims.file()
    target = f"{file}.made"
    victims.do("talk", "planted", file, "t", target)
    victims.do("talk", "look", file)
    files = (path for path in Path(file).parent.glob("threads.db*") if path.is_file())
    there = b"mkdir" in b"".join(path.read_bytes() for path in files)
    return {
        "it is in the file": "yes" if there else "no",
        "what it names was called": "yes" if Path(target).exists() else "no",
    }


def interviewed(victims: Victims, trials: int, chance: Random) -> Counts:
    """A node asks three questions, with an effect before each."""
    file = victims.file()
    victims.do("interview", "interviewed", file)
    return {
        f"effect before question {number + 1}": effects(file)[f"end effect{number}"] for number in range(3)
    }


def stored(victims: Victims, trials: int, chance: Random) -> Counts:
    """Faults of the disk and of what is on it, see ``benchmarks.reliability.storage``."""
    found = victims.module("benchmarks.reliability.storage", victims.package, str(trials))
    return {f"{fault}: {what}": count for fault, counts in found.items() for what, count in counts.items()}


def changed(victims: Victims, trials: int, chance: Random) -> Counts:
    """A catalogue of changes, see the page about changed graphs."""
    found = victims.module("tests.behaviour.changes", victims.package)
    kinds = Counter(outcome.partition(":")[0] for outcome in found.values())
    return {
        "kinds of change": len(found),
        "silently wrong": sum(count for kind, count in kinds.items() if kind.startswith("silently")),
    }


Scenario = tuple[str, Callable[..., Counts], dict[str, int | str], int]


def scenarios(full: bool) -> list[Scenario]:
    """Title, function, arguments, number of trials."""
    kills, trials = (40, 10) if full else (10, 5)
    return [
        *(
            (
                f"SIGKILL in a {what}, durability {durability!r}",
                killed,
                {"program": program, "durability": durability},
                kills,
            )
            for program, what in (("chain", "chain of 10 nodes"), ("fan", "fan of 8 nodes"))
            for durability in ("sync", "async")
        ),
        *(
            (
                f"SIGKILL at the first node's first line, durability {durability!r}",
                accepted,
                {"durability": durability},
                kills,
            )
            for durability in ("exit", "async", "sync")
        ),
        ("SIGKILL, then the program is started again", unasked, {}, trials),
        ("2 processes answer one approval", owners, {"processes": 2}, trials),
        ("4 processes answer one approval", owners, {"processes": 4}, trials),
        ("10 inputs for one thread at once", inputs, {}, trials),
        ("a cancel that a node swallows", cancelled, {}, trials),
        ("a stored value that names a function", planted, {}, 1),
        ("three questions in one plain node", interviewed, {}, 1),
        ("storage", stored, {}, 2000 if full else 400),
        ("changes of code with threads in flight", changed, {}, 1),
    ]
