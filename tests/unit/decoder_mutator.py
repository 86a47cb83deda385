"""Feeds every decoder of stored data with changed data, in a process of its own, and watches what it does.

    python -m tests.unit.decoder_mutator COUNT SEED [atheris]

Prints JSON: how many were tried, what came that should not, which modules were imported because of data, how
much memory was taken. With ``atheris`` (an extra of the soak, where it is installed) libFuzzer chooses the
changes and goes for new paths through the code; without it they are our own: bits, bytes, cuts, splices.
"""

import codecs
import datetime
import decimal
import json
import logging
import random
import re
import resource
import sys
import uuid
import zoneinfo
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from langchain_core.messages import AIMessage, HumanMessage

from dashflow.batch.core.codec import decode as decode_batch
from dashflow.checkpoint.events import from_record
from dashflow.checkpoint.kept import Classes, kept_event
from dashflow.checkpoint.serde.jsonplus import JsonPlusSerializer
from dashflow.checkpoint.snapshots import from_snapshot
from dashflow.core.events import RunStarted, StepCompleted, TaskCompleted
from dashflow.core.kept import Kept
from dashflow.errors import LogError
from dashflow.log.base import Record, Snapshot
from dashflow.log.codec import Registry, decode, encode
from dashflow.log.packing import PACK_FROM, packed, restored, unpacked
from dashflow.log.portable.lines import BadLineError, line_of, opened, sealed
from dashflow.planner.core.codec import decode as decode_plan
from dashflow.types import Command, Interrupt, Send

VALUES: list[Any] = [
    {"n": 1, "text": "some words", "none": None, "f": 2.5, "b": b"bytes", "big": 2**80},
    {
        "messages": [
            HumanMessage("hi", id="1"),
            AIMessage("x", tool_calls=[{"name": "f", "args": {}, "id": "c"}]),
        ]
    },
    [Send("n", {"x": (1, {2, 3})}, timeout=3), Command(goto="a", update={"b": 1}), Interrupt({"pay": 1003})],
    [
        datetime.datetime(2026, 1, 1, tzinfo=zoneinfo.ZoneInfo("UTC")),
        decimal.Decimal("1.5"),
        re.compile("a+"),
    ],
    [uuid.UUID(int=7), frozenset({1}), complex(1, 2), range(3), datetime.timedelta(1), ValueError("no")],
    {"deep": [[[[[{"a": (1, (2, (3,)))}]]]]]},
]
ENCODED = [encode(value) for value in VALUES]
EVENTS = [
    (RunStarted.type, encode({"run": "r", "change": {"put": {"a": 1}}, "meta": {"x": "y"}})),
    (StepCompleted.type, encode({"step": 1, "ran": ["a"], "change": {"ops": {"a": [1, 2, [3]]}}})),
    (TaskCompleted.type, encode({"key": "k", "name": "n", "writes": [["a", 1]]})),
]
CLASSES = Classes(Registry(), "raise")
SERDE = JsonPlusSerializer()
TYPED = [SERDE.dumps_typed(value) for value in (*VALUES[1:3], VALUES[3][0], *VALUES[4][:2])]
FRAME = packed(b"frame " * PACK_FROM) or b""
LINE = sealed(
    {
        "position": 1,
        "stream": "run-t",
        "version": 1,
        "type": "A",
        "schema": 1,
        "event_id": "00" * 16,
        "correlation_id": "",
        "causation_id": "",
        "at": 1,
        "epoch": 0,
        "fingerprint": "",
        "data": {"a": 1},
    }
)
FORBIDDEN = ("subprocess.Popen", "os.system", "socket.connect", "os.exec", "os.fork", "os.remove",
             "os.rename", "os.mkdir", "pickle.find_class", "ctypes.dlopen")  # fmt: skip


def record(kind: str, data: bytes) -> Record:
    return Record(1, "run-t", 1, "run", kind, 1, bytes(16), "", b"", 1, 0, "", 0, data)


def read_line(data: bytes) -> None:
    told = opened(data)
    if isinstance(told, dict):
        line_of(told)


def read_frame(data: bytes) -> None:
    assert len(unpacked(data)) <= max(64 << 20, 250 * len(data))


def read_event(kind: str) -> Callable[[bytes], Any]:
    return lambda data: from_record(record(kind, data), Registry())


def read_kept(kind: str) -> Callable[[bytes], Any]:
    """As who folds: values of channels stay bytes until somebody looks at them, which is now."""

    def read(data: bytes) -> None:
        event = kept_event(record(kind, data), CLASSES)
        change = getattr(event, "change", None)
        for value in () if change is None else change.put.values():
            if isinstance(value, Kept):
                value.value()

    return read


def read_typed(tag: str) -> Callable[[bytes], Any]:
    return lambda data: SERDE.loads_typed((tag, data))


OTHERS = b'{"lc": 2, "type": "constructor", "id": ["os", "mkdir"], "kwargs": {}}'
PLAN = encode({"type": "TaskAdded", "a": 1})
BATCH = encode({"type": "BatchStarted"})
STATE = encode({"values": {"a": 1}, "version": 3})

DECODERS: list[tuple[list[bytes], Callable[[bytes], Any], tuple[type[Exception], ...]]] = [
    (ENCODED, decode, (LogError,)),
    (ENCODED, lambda data: decode(data, unknown="opaque"), (LogError,)),
    *(([data], read_event(kind), (LogError,)) for kind, data in EVENTS),
    *(([data], read_kept(kind), (LogError,)) for kind, data in EVENTS),
    ([STATE], lambda data: from_snapshot(Snapshot(3, data), CLASSES), ()),
    ([data for tag, data in TYPED if tag == "msgpack"], read_typed("msgpack"), (ValueError,)),
    ([OTHERS], read_typed("json"), (ValueError,)),
    ([LINE], read_line, (BadLineError,)),
    ([FRAME], read_frame, (ValueError,)),
    ([FRAME], lambda data: restored(3 << 32, data, 7), (ValueError,)),
    ([PLAN], lambda data: decode_plan(record("TaskAdded", data)), (LogError,)),
    ([BATCH], lambda data: decode_batch(record("BatchStarted", data)), (LogError,)),
]
"""Samples, what reads them, and what it may raise."""


class Watch:
    """What decoders did besides decoding."""

    def __init__(self) -> None:
        self.on = False
        self.acts: list[str] = []

    def hook(self, event: str, arguments: Any) -> None:
        if not self.on:
            return
        if event == "import":
            self.acts.append(f"import {arguments[0]}")
        elif event == "exec":  # the code of a module, or one that was made of a text
            if "/tzdata/" not in arguments[0].co_filename:  # time zones are files of that package
                self.acts.append(f"exec {arguments[0].co_filename}")
        elif event in FORBIDDEN:
            self.acts.append(event)


def changed(data: bytes, chance: random.Random) -> bytes:
    """The same data with a few changes."""
    new = bytearray(data)
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(new) + 1)
        kind = chance.randrange(7)
        if kind == 0 and at < len(new):
            new[at] ^= 1 << chance.randrange(8)
        elif kind == 1 and at < len(new):
            new[at] = chance.randrange(256)
        elif kind == 2:
            del new[at : at + chance.randrange(1, 9)]
        elif kind == 3:
            new[at:at] = chance.randbytes(chance.randrange(1, 6))
        elif kind == 4:
            new = new[:at]
        elif kind == 5:
            other = chance.choice(ENCODED)
            start = chance.randrange(len(other))
            new[at:at] = other[start : start + chance.randrange(1, 40)]
        else:
            new[at : at + 4] = chance.choice(EDGES)
    return bytes(new)


EDGES = (
    b"\xff\xff\xff\xff",
    b"\xdd\xff\xff\xff",
    b"\xc9\x00\xff\xff",
    b"\x00\x00\x00\x00",
    b"\xdf\x7f\xff\xff",
)


def main(count: int, seed: int, guided: bool) -> None:
    watch = Watch()
    sys.addaudithook(watch.hook)
    logging.disable()  # serialisers say what they refuse
    for name in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):  # what JSON may be in
        codecs.lookup(name)
    for samples, read, fits in DECODERS:  # whatever is loaded for good values is loaded now
        for sample in samples:
            with suppress(*fits):
                read(sample)
    wrong: list[str] = []
    start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def one(decoder: int, data: bytes) -> None:
        _, read, fits = DECODERS[decoder % len(DECODERS)]
        watch.on = True
        try:
            read(data)
        except fits:
            pass
        except Exception as error:
            wrong.append(f"decoder {decoder % len(DECODERS)}: {error!r} for {data.hex()[:400]}")
        finally:
            watch.on = False

    if guided:
        import atheris

        atheris.Setup(
            [sys.argv[0], f"-runs={count}", f"-seed={seed}"],
            lambda data: one(data[0] if data else 0, data[1:]),
        )
        atheris.Fuzz()
    chance = random.Random(seed)
    for number in range(count):
        samples = DECODERS[number % len(DECODERS)][0]
        one(number, changed(chance.choice(samples), chance))
        if len(wrong) > 20:
            break
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start
    sys.stdout.write(
        json.dumps({"tried": count, "wrong": wrong, "acts": sorted(set(watch.acts)), "grown_kb": grown})
        + "\n"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), "atheris" in sys.argv[3:])
