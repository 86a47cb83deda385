"""Logs with events of all kinds, a graph that counts and asks, and the command line in its own process."""

import os
import random
import subprocess
import sys
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

from msgspec.structs import astuple, replace

import dashflow
from dashflow.graph import END, START, StateGraph
from dashflow.log.base import Append, EventLog, NewEvent
from dashflow.log.open import open_log
from dashflow.types import interrupt

SOURCES = str(Path(dashflow.__file__).parents[1])
AT = 1_800_000_000_000_000_000


def event(number: int, *, data: bytes = b"\x81\xa1n\x01", **more: Any) -> NewEvent:
    identifier = sha256(str(number).encode()).digest()[:16]
    return NewEvent("Happened", data, identifier, AT + number * 1_000_000_000, **more)


def filled(log: EventLog) -> EventLog:
    """Events of several streams, mixed; payloads of all kinds."""
    payloads = [
        b"\x81\xa1n\x01",
        b"",
        b"\xc1 no msgpack",
        b"\x93\x01\x02\xc4\x01x",
        b"\xca\x00\x00\x00\x00",
        b"x" * 70_000,
    ]
    chance = random.Random(5)
    versions = dict.fromkeys(["run-one", "run-two", "plan-three", "sub-one|inner:1"], 0)
    for number in range(120):
        stream = chance.choice([*versions])
        one = event(
            number,
            data=chance.choice(payloads),
            schema=chance.randint(1, 3),
            correlation_id=chance.choice(["", "run é"]),
            causation_id=chance.choice([b"", bytes(16)]),
            fingerprint=chance.choice(["", "abc"]),
        )
        log.append(Append(stream, [one], versions[stream]))
        versions[stream] += 1
    return log


def told(log: EventLog) -> list[tuple]:
    """All events, without their positions and owners."""
    records = log.read_all(limit=100_000)
    return [astuple(replace(record, position=0, epoch=0)) for record in records]


def counting(saver):
    """Counts to 10, asks, and says what it was told."""
    builder = StateGraph(dict)
    builder.add_node("count", lambda state: {"n": state["n"] + 1, "said": ""})
    builder.add_node("ask", lambda state: {**state, "said": interrupt(f"after {state['n']}?")})
    builder.add_edge(START, "count")
    builder.add_conditional_edges("count", lambda state: "ask" if state["n"] >= 10 else "count")
    builder.add_edge("ask", END)
    return builder.compile(checkpointer=saver)


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dashflow", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": SOURCES},
        capture_output=True,
        text=True,
        check=False,
    )


def closing_log(path):
    return closing(open_log(path))
