"""A new process that opens a long thread: ``python -m benchmarks.opening PACKAGE FILE KIND MESSAGES``.

Prints the milliseconds of processor time of the first look at the thread's latest state, from the opening of
the file on, and of the second one: until it is told what runs next, and until all messages are there. What an
import takes is a row of its own, so that is done before.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from importlib import import_module
from itertools import pairwise
from pathlib import Path

from benchmarks.package import Library, config, conversation, expect
from benchmarks.places import File


def main(package: str, address: str, kind: str, messages: int) -> None:
    """Look twice."""
    warnings.simplefilter("ignore")
    import_module(f"{package}.checkpoint.sqlite")
    lib = Library(package, Path(address).parent)
    graph, _ = conversation(lib, kind)
    with lib.saver("memory") as saver:  # what a first run or look of this process imports
        graph.compile(checkpointer=saver).get_state(config(0))
    times = [time.process_time()]
    with lib.saver("sqlite", File(address)) as saver:
        compiled = graph.compile(checkpointer=saver)
        for _ in range(2):
            shown = compiled.get_state(config(0))
            expect(shown.next, ())
            times.append(time.process_time())
            found = shown.values["messages"]
            times.append(time.process_time())
            expect(len(found), messages)
    opened, made, opened_again, made_again = (b - a for a, b in pairwise(times))
    figures = {
        "opened": opened,
        "first": opened + made,
        "opened_again": opened_again,
        "again": opened_again + made_again,
    }
    print(json.dumps({name: seconds * 1e3 for name, seconds in figures.items()}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
