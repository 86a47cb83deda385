"""The public serialiser: what goes in comes out, in LangGraph's own bytes."""

import collections
import dataclasses
import datetime as dt
import enum
import ipaddress
import pathlib
import re
import uuid
import zoneinfo
from decimal import Decimal
from typing import NamedTuple

import msgspec
import ormsgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from pydantic import BaseModel, SecretStr

from dashflow.checkpoint.serde.base import SerializerCompat, maybe_add_typed_methods
from dashflow.checkpoint.serde.jsonplus import JsonPlusSerializer
from dashflow.checkpoint.serde.types import _DeltaSnapshot
from dashflow.log.codec import Registry
from dashflow.types import Command, Interrupt, Overwrite, Send, TimeoutPolicy

pytestmark = pytest.mark.feature("PERSIST-006")


class Color(enum.Enum):
    RED = "red"


class Point(NamedTuple):
    x: int
    y: int


class Pet(BaseModel):
    name: str
    age: int = 1


class Struct(msgspec.Struct):
    a: int


@dataclasses.dataclass
class Plain:
    a: int
    inner: list


@dataclasses.dataclass(slots=True, frozen=True)
class Slotted:
    a: int


STRICT = JsonPlusSerializer(allowed_msgpack_modules=None)

DATA = {
    "datetime": dt.datetime(2024, 4, 19, 23, 4, 57, 51022, dt.UTC),
    "date": dt.date(2024, 4, 19),
    "time": dt.time(23, 4, 57, 51022, dt.timezone.max),
    "timedelta": dt.timedelta(1, 2, 3),
    "timezone": dt.timezone(dt.timedelta(hours=2), "here"),
    "uuid": uuid.UUID(int=5),
    "decimal": Decimal("1.10101"),
    "set": {1, 2, frozenset({3})},
    "frozenset": frozenset({1}),
    "deque": collections.deque([1, 2]),
    "address": ipaddress.ip_address("1.2.3.4"),
    "network": ipaddress.ip_network("10.0.0.0/8"),
    "six": ipaddress.ip_address("::1"),
    "path": pathlib.Path("/a/b"),
    "pattern": re.compile("a.b", re.DOTALL),
    "zone": zoneinfo.ZoneInfo("America/New_York"),
    "tuple keys": {(1, 2): 3, 4: 5},
    "send": Send("node", {"a": 1}),
    "patient send": Send("node", 1, timeout=3),
    "command": Command(update={"a": 1}, goto="b", resume="c"),
    "interrupt": Interrupt("what?", "id"),
    "overwrite": Overwrite([1]),
    "policy": TimeoutPolicy(run_timeout=3.0),
    "delta": _DeltaSnapshot([1, 2]),
    "human": HumanMessage("hello", id="1"),
    "ai": AIMessage("hi", tool_calls=[{"name": "t", "args": {}, "id": "1"}]),
    "tool": ToolMessage("done", tool_call_id="1"),
    "document": Document("text", metadata={"k": "v"}),
}


@pytest.mark.parametrize("name", DATA)
def test_data_needs_no_permission(name):
    assert STRICT.loads_typed(STRICT.dumps_typed(DATA[name])) == DATA[name]


def test_data_inside_of_data():
    value = {"all": [DATA, {"again": list(DATA.values())}]}
    assert STRICT.loads_typed(STRICT.dumps_typed(value)) == value


@pytest.mark.parametrize(
    "value", [Color.RED, Point(1, 2), Pet(name="rex"), Struct(1), Plain(1, [Plain(2, [])]), Slotted(3)]
)
def test_instances_of_allowed_classes_come_back(value):
    serde = JsonPlusSerializer(allowed_msgpack_modules=[type(value)])
    assert serde.loads_typed(serde.dumps_typed(value)) == value
    by_name = STRICT.with_msgpack_allowlist([(type(value).__module__, type(value).__name__)])
    assert by_name.loads_typed(by_name.dumps_typed(value)) == value


def test_instances_of_registered_classes_come_back():
    registry = Registry()
    serde = STRICT.with_registry(registry)
    stored = serde.dumps_typed(Pet(name="rex"))
    assert serde.loads_typed(stored) == {"name": "rex", "age": 1}
    registry.register(Pet)
    assert serde.loads_typed(stored) == Pet(name="rex")


def test_simple_values_have_tags_of_their_own():
    assert STRICT.dumps_typed(None) == ("null", b"")
    assert STRICT.dumps_typed(b"x") == ("bytes", b"x")
    assert STRICT.dumps_typed(bytearray(b"x")) == ("bytearray", bytearray(b"x"))
    assert STRICT.loads_typed(("null", b"")) is None
    assert STRICT.loads_typed(("bytearray", b"x")) == bytearray(b"x")


# Written by LangGraph 1.2.22.
WRITTEN = {
    "send": ("c71d0193af6c616e6767726170682e7479706573a453656e6492a46e6f646501", Send("node", 1)),
    "date": ("c7150193a86461746574696d65a46461746593cd07e80413", dt.date(2024, 4, 19)),
    "uuid": (
        "c72d0093a475756964a455554944d9203030303030303030303030303030303030303030303030303030303030303035",
        uuid.UUID(int=5),
    ),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_the_bytes_are_those_of_langgraph(name):
    written, value = WRITTEN[name]
    data = bytes.fromhex(written)
    assert STRICT.dumps_typed(value) == ("msgpack", data)
    assert STRICT.loads_typed(("msgpack", data)) == value


def test_what_cannot_be_stored_is_named_with_its_place():
    with pytest.raises(TypeError, match=r"\['a'\]\[1\]\.inner\[0\].*object"):
        STRICT.dumps_typed({"a": [1, Plain(1, [object()])]})


def test_an_error_is_stored_as_its_text():
    assert STRICT.loads_typed(STRICT.dumps_typed([ValueError("no")])) == ["ValueError('no')"]


def test_secrets_are_stored_with_their_text():
    serde = JsonPlusSerializer(allowed_msgpack_modules=[SecretStr])
    assert serde.loads_typed(serde.dumps_typed(SecretStr("s"))).get_secret_value() == "s"


def test_a_hook_reads_extensions_instead():
    serde = JsonPlusSerializer(__unpack_ext_hook__=lambda code, data: code)
    assert serde.loads_typed(serde.dumps_typed([uuid.UUID(int=1), {1}])) == [0, 0]


def test_an_instance_that_cannot_be_made_any_more_comes_as_its_data(caplog):
    stored = ormsgpack.packb(ormsgpack.Ext(2, ormsgpack.packb((Plain.__module__, "Plain", {"unknown": 1}))))
    serde = JsonPlusSerializer(allowed_msgpack_modules=[Plain])
    assert serde.loads_typed(("msgpack", stored)) == {"unknown": 1}
    assert "Could not reconstruct" in caplog.text


def test_an_untyped_serialiser_gets_the_methods():
    class Upper:
        def dumps(self, obj):
            return obj.upper().encode()

        def loads(self, data):
            return data.decode().lower()

    serde = maybe_add_typed_methods(Upper())
    assert isinstance(serde, SerializerCompat)
    assert serde.dumps_typed("a") == ("str", b"A")
    assert serde.loads_typed(("str", b"A")) == "a"
    assert maybe_add_typed_methods(STRICT) is STRICT


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers(0, 9), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.recursive(plain, lambda inner: st.builds(Send, st.text(), inner) | st.lists(inner, max_size=3)))
def test_any_data_comes_back(value):
    assert STRICT.loads_typed(STRICT.dumps_typed(value)) == value
