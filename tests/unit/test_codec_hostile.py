"""The codec and what it must refuse: values that are no data, and data that is no value."""

import functools
import io
import socket
import struct
import subprocess
import sys
import threading
import zoneinfo
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import ormsgpack
import pydantic
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage

from dashflow.errors import LogError, ValueCodecError
from dashflow.log.codec import decode, encode
from dashflow.types import Send

pytestmark = pytest.mark.feature("NEW-11")


@dataclass
class Record:
    part: Any


class Plain:
    pass


class Model(pydantic.BaseModel):
    part: Any = None


@dataclass
class Odd(dict):
    x: int = 0


class Ordered(OrderedDict):
    pass


class SlottedText(list):
    __slots__ = ("more",)


# -- values that are no data --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (lambda: 0, "a builtins.function (code and no data)"),
        (len, "a builtins.builtin_function_or_method (code and no data)"),
        (functools.partial(len), "a functools.partial (code and no data)"),
        (Plain, "a builtins.type (a class and no data)"),
        (threading.Lock(), "(something that lives in this process only)"),
        ((number for number in []), "a builtins.generator"),
        (sys, "a builtins.module"),
        (io.StringIO(), "a _io.StringIO (something that lives in this process only)"),
        (Plain(), "Plain (make it a dataclass, pydantic model, msgspec.Struct, NamedTuple or dict)"),
        (Odd(), "is a dataclass that inherits from a built-in type (dict)"),
        (Ordered(), "Ordered (make it"),
        (SlottedText(), "a built-in type with slots of its own"),
        (zoneinfo.ZoneInfo.from_file(io.BytesIO(b"")) if False else 1 << (8 << 20), "is an integer of"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_data_is_refused_when_it_is_written(value, problem):
    with pytest.raises(ValueCodecError) as caught:
        encode({"messages": [0, value]})
    assert caught.value.data["path"] == "messages[1]"
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (len, "value"),
        ({"a": len}, "a"),
        ({"a b": len}, "['a b']"),
        ({"a": {"b c": {"d": [0, len]}}}, "a['b c'].d[1]"),
        ({1: len}, "[1]"),
        ({"a": (1, {2: [len]})}, "a[1][2][0]"),
        ({"a": Record([Record(len)])}, "a.part[0].part"),
        ({"a": Model(part={"x": len})}, "a.part.x"),
        (
            {"messages": [1, 2, 3, HumanMessage("x", additional_kwargs={"tool": len})]},
            "messages[3].additional_kwargs.tool",
        ),
        ({"send": Send("n", {"x": len})}, "send.arg.x"),
        ({"set": {1, len}}, "set[builtin_function_or_method]"),
        ({len: 1}, "[builtin_function_or_method]"),
    ],
)
def test_the_error_says_where(value, path):
    with pytest.raises(ValueCodecError) as caught:
        encode(value)
    assert caught.value.data["path"] == path
    assert str(caught.value).startswith(f"Value at {path!r}: ")
    with pytest.raises(ValueCodecError) as caught:
        encode({"x": value}["x"], "start")
    assert caught.value.data["path"].startswith("start")


def test_the_error_is_of_the_log_and_a_type_error():
    with pytest.raises(LogError):
        encode(len)
    with pytest.raises(TypeError):
        encode(len)


def test_an_open_socket_is_refused():
    with socket.socket() as open_socket, pytest.raises(ValueCodecError, match="lives in this process only"):
        encode(open_socket)


def test_a_value_whose_class_fails_while_it_is_taken_apart_is_refused():
    class Failing(pydantic.BaseModel):
        def __getattribute__(self, name):
            raise RuntimeError("broken")

    with pytest.raises(ValueCodecError, match=r"Value at 'x': cannot be taken apart: RuntimeError: broken"):
        encode({"x": Failing.model_construct()})


# -- data that is no value ----------------------------------------------------------------------

VALUES: list[Any] = [
    {"a": [1, 2.5, None, "text", b"bytes"], "b": (1, {2, 3})},
    {
        "messages": [
            HumanMessage("hi", id="1"),
            AIMessage("x", tool_calls=[{"name": "f", "args": {}, "id": "c"}]),
        ]
    },
    [Record({"x": (1, 2)}), Model(part=[1]), Send("n", 1, timeout=3)],
    {1: {2: (3, 2**80)}},
    [
        {"when": __import__("datetime").datetime(2026, 1, 1, tzinfo=zoneinfo.ZoneInfo("UTC"))},
        __import__("re").compile("a+"),
    ],
    [
        __import__("pathlib").PurePosixPath("a"),
        __import__("fractions").Fraction(1, 3),
        __import__("decimal").Decimal("1.5"),
    ],
]
ENCODED = [encode(value) for value in VALUES]


def only_value_errors(data: bytes) -> None:
    for unknown in ("raise", "opaque"):
        try:
            value = decode(data, unknown=unknown)
        except ValueCodecError:
            continue
        assert value is value


@given(st.binary(max_size=80))
@example(b"")
@example(b"\xc1")
@example(b"\xdd\xff\xff\xff\xff")
@example(b"\xc9\xff\xff\xff\xff\x01")
@pytest.mark.guarantee("data-only")
def test_any_bytes_are_a_value_or_a_value_error(data):
    only_value_errors(data)


@given(
    st.sampled_from(ENCODED),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(0, 3),
)
def test_damaged_data_is_a_value_or_a_value_error(data, changes, cut):
    damaged = bytearray(data)
    for place, byte in changes:
        damaged[place % len(damaged)] = byte
    only_value_errors(bytes(damaged[: len(damaged) - cut]))


@given(
    st.integers(0, 127),
    st.recursive(
        st.one_of(st.none(), st.integers(-9, 9), st.text(max_size=3), st.binary(max_size=9)),
        lambda v: st.one_of(st.lists(v, max_size=4), st.dictionaries(st.text(max_size=3), v, max_size=3)),
        max_leaves=8,
    ),
)
def test_any_payload_of_any_kind_is_a_value_or_a_value_error(code, payload):
    inner = ormsgpack.packb(payload)
    only_value_errors(ormsgpack.packb(ormsgpack.Ext(code, inner)))
    only_value_errors(ormsgpack.packb([{"k": ormsgpack.Ext(code, inner)}]))
    if isinstance(payload, bytes):
        only_value_errors(ormsgpack.packb(ormsgpack.Ext(code, payload)))


def test_damage_says_where():
    broken = ormsgpack.Ext(36, ormsgpack.packb(["no time"]))
    data = ormsgpack.packb({"steps": [{"at": broken}]})
    with pytest.raises(ValueCodecError, match="is damaged: ValueError: Invalid isoformat string") as caught:
        decode(data)
    assert caught.value.data["path"] == "steps[0].at"
    with pytest.raises(ValueCodecError, match="Value at 'here': is damaged"):
        decode(b"\xc1", path="here")


@pytest.mark.parametrize(
    ("code", "payload", "problem"),
    [
        (127, b"\x90", "is of kind 127, which this version of DashFlow does not know"),
        (96, ormsgpack.packb(["Runnable", {}]), "'Runnable', which this version of DashFlow does not know"),
        (97, ormsgpack.packb(["create_model", "x"]), "which this version of DashFlow does not know"),
        (41, ormsgpack.packb(["../../etc/passwd"]), "is no time zone"),
        (41, ormsgpack.packb(["No/Where"]), "is damaged: ZoneInfoNotFoundError"),
        (46, ormsgpack.packb(["|O8", [1], "C", b"\x00" * 8]), "is an array of dtype '|O8'"),
        (16, ormsgpack.packb({"a": 1}), "its parts are no list"),
        (24, ormsgpack.packb([1, 2, 3]), "is damaged: ValueError"),
        (17, ormsgpack.packb([[1]]), "is damaged: TypeError: unhashable type"),
        (44, ormsgpack.packb(["(", 0]), "is damaged"),
    ],
)
def test_a_payload_that_does_not_fit_its_kind_is_refused(code, payload, problem):
    with pytest.raises(ValueCodecError) as caught:
        decode(ormsgpack.packb(ormsgpack.Ext(code, payload)))
    assert problem in str(caught.value)


def test_a_patterns_flags_cannot_make_it_print(capsys):
    debug = 128
    pattern = decode(ormsgpack.packb(ormsgpack.Ext(44, ormsgpack.packb(["ab", debug]))))
    assert pattern.match("ab")
    assert capsys.readouterr().out == ""


def deep_extensions(levels: int, width: int) -> bytes:
    """Tuples in tuples, each in many lists: what takes most of a stack."""
    data = b"\xc0"
    for _ in range(levels):
        inner = b"\x91" * width + data
        data = b"\xc9" + struct.pack(">IB", len(inner), 16) + inner
    return data


@pytest.mark.parametrize(
    ("levels", "width"), [(140, 1), (500, 1), (5000, 1), (100, 900), (140, 1000), (3, 1000)]
)
def test_deep_hostile_data_does_not_end_the_process(levels, width):
    program = """
import sys
from dashflow.log.codec import decode
from dashflow.errors import ValueCodecError
try:
    decode(sys.stdin.buffer.read())
except ValueCodecError:
    pass
print("alive")
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=deep_extensions(levels, width),
        capture_output=True,
        check=False,
    )
    assert done.stdout == b"alive\n", done.stderr[-500:]


def test_data_nested_too_deeply_is_refused():
    with pytest.raises(ValueCodecError, match="is nested more than 150 values deep"):
        decode(deep_extensions(200, 1))
    with pytest.raises(ValueCodecError, match="is damaged: Recursion limit reached"):
        decode(b"\x91" * 5000)


def test_too_much_data_is_refused(monkeypatch):
    monkeypatch.setattr("dashflow.log.codec.writer.MAX_BYTES", 100)
    monkeypatch.setattr("dashflow.log.codec.reader.MAX_BYTES", 100)
    with pytest.raises(ValueCodecError, match="takes 203 bytes; up to 100 can be stored"):
        encode("x" * 201)
    with pytest.raises(ValueCodecError, match="takes 101 bytes; up to 100 are read"):
        decode(b"\xc0" * 101)
