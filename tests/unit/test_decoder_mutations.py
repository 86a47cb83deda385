"""100,000 changed payloads through every decoder of stored data, 10,000,000 in the soak: no crash, no import,
no call that the data asks for, and no more memory than the data itself takes."""

import importlib.util
import json
import random
import struct
import subprocess
import sys
from pathlib import Path

import ormsgpack
import pytest

pytestmark = pytest.mark.feature("NEW-11", "NEW-10")

ROOT = Path(__file__).parents[2]
PROCESSES = 20
"""In the soak, so that what a crash was about can be found again by its seed."""


def mutate(count: int, seed: int, *more: str) -> dict:
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.decoder_mutator", str(count), str(seed), *more],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, f"seed {seed}: {done.stderr[-2000:]}"
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.guarantee("decoders")
def test_changed_data_is_refused_or_read_and_nothing_else(soak):
    seeds = [random.randrange(1 << 31) for _ in range(PROCESSES)] if soak else [20261129]
    for seed in seeds:
        told = mutate(500_000 if soak else 100_000, seed)
        assert told["wrong"] == [], f"seed {seed}"
        assert told["acts"] == [], f"seed {seed}"
        assert told["grown_kb"] < 64 * 1024, f"seed {seed}"


@pytest.mark.soak
@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="pip install atheris for guided fuzzing"
)
def test_changes_that_libfuzzer_chooses():
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.decoder_mutator", "10000000", "1", "atheris"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Done 10000000" in done.stderr


@pytest.mark.parametrize(
    "data",
    [
        ormsgpack.packb(ormsgpack.Ext(41, ormsgpack.packb(["antigravity/this"]))),
        b"\xc9" + struct.pack(">IB", 4, 16) + b"\xdd\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xffabc",
        b"(\xb5/\xfd" + bytes(40),
        b"cos\nsystem\n(S'true'\ntR.",
    ],
    ids=["zone", "array in a tuple", "map", "bytes", "frame", "pickle"],
)
@pytest.mark.guarantee("decoders")
def test_a_size_or_name_that_is_a_lie_costs_nothing(data):
    program = """
import sys
sys.path.insert(0, "src")
from dashflow.errors import ValueCodecError
from dashflow.log.codec import decode, encode
import resource, zoneinfo
try:
    decode(encode({}))
    decode(encode(zoneinfo.ZoneInfo("UTC")))
except Exception:
    pass
data = sys.stdin.buffer.read()
before, start = set(sys.modules), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    decode(data)
except ValueCodecError:
    pass
named = {name for name in set(sys.modules) - before if "antigravity" in name or name in ("this", "os.system")}
assert not named, named
assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start < 16_000
print("alive")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], input=data, capture_output=True, check=False, cwd=ROOT
    )
    assert done.stdout == b"alive\n", done.stderr[-800:]
