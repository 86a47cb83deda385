"""The codec: every kind of data comes back equal and of the same type, from the same bytes."""

import collections
import datetime as dt
import decimal
import enum
import fractions
import ipaddress
import math
import pathlib
import re
import subprocess
import sys
import threading
import uuid
import zoneinfo
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, RemoveMessage, ToolMessage

from dashflow._util.sentinel import MISSING
from dashflow.errors import DashFlowError, ValueCodecError
from dashflow.log.codec import RecordedError, decode, encode
from dashflow.types import Command, Interrupt, Overwrite, Send

pytestmark = pytest.mark.feature("NEW-11")


class Colour(enum.Enum):
    RED = 1
    BLUE = (1, 2)


class Level(enum.IntEnum):
    LOW = 1


class Kind(enum.StrEnum):
    PLAIN = "plain"


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: int
    y: Any = 0


@dataclass
class Record:
    name: str
    parts: list[Any]


@dataclass(frozen=True, slots=True)
class Frozen:
    value: Any


class Struct(msgspec.Struct, frozen=True):
    value: Any
    other: int = 0


class Model(pydantic.BaseModel):
    value: Any
    other: list[int] = []


class Loose(pydantic.BaseModel, extra="allow"):
    value: int


class Text(str):
    __slots__ = ()


class Tagged(str):
    tag: str


class Things(list):
    pass


class Table(dict):
    pass


def tagged(text: str, tag: str) -> Tagged:
    value = Tagged(text)
    value.tag = tag
    return value


BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")

SAMPLES: list[Any] = [
    None,
    True,
    0,
    -1,
    2**63,
    2**64 - 1,
    2**64,
    -(2**63) - 1,
    3**500,
    1.5,
    -0.0,
    math.inf,
    "",
    "ä€𝄞",
    "lone \ud800 surrogate",
    b"\x00\xff",
    [],
    {},
    [[1, [2]], {"a": {"b": []}}],
    {1: "a", 2.5: "b", None: "c", False: "d", b"k": "e", (1, "x"): "f", Colour.RED: "g", Text("t"): "h"},
    {"\udfff": 1},
    (),
    (1, (2, [3, (4,)])),
    set(),
    {1, "a", (2, 3), None},
    frozenset({1, frozenset({2})}),
    complex(1.5, -0.0),
    range(1, 10, 3),
    collections.deque([1, (2,)], maxlen=5),
    collections.OrderedDict([("b", 1), ("a", (2,))]),
    collections.Counter("abca"),
    collections.defaultdict(list, {"a": [1]}),
    collections.defaultdict(None, {1: 2}),
    dt.datetime(2026, 11, 21, 1, 2, 3, 4),
    dt.datetime(2026, 11, 21, 1, 2, 3, tzinfo=dt.UTC),
    dt.datetime(2026, 11, 21, tzinfo=dt.timezone(dt.timedelta(hours=-3, microseconds=5), "here")),
    dt.datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=1),
    dt.datetime.min,
    dt.date(1, 1, 1),
    dt.time(23, 59, 59, 999999, fold=1),
    dt.time(1, tzinfo=dt.UTC),
    dt.timedelta(days=-3, microseconds=7),
    dt.UTC,
    BERLIN,
    uuid.UUID(int=5),
    decimal.Decimal("-1.50E+7"),
    decimal.Decimal("Infinity"),
    fractions.Fraction(-3, 7),
    pathlib.Path("/tmp/ä"),
    pathlib.PurePosixPath("a/b"),
    pathlib.PureWindowsPath("c:\\x"),
    ipaddress.ip_address("10.0.0.1"),
    ipaddress.ip_address("fe80::1%eth0"),
    ipaddress.ip_network("10.0.0.0/8"),
    ipaddress.ip_interface("::1/64"),
    re.compile(r"a(b)", re.IGNORECASE | re.MULTILINE),
    re.compile(rb"\d+"),
    Colour.RED,
    Colour.BLUE,
    Level.LOW,
    Kind.PLAIN,
    Rights.READ,
    Rights.READ | Rights.WRITE,
    Rights(0),
    Point(1, Point(2)),
    Record("a", [Record("b", [])]),
    Frozen({"x": (1,)}),
    Struct([Struct(1)]),
    Model(value={"x": (1,)}),
    Model(value=1, other=[2]),
    Loose(value=1, more=(2,)),
    pydantic.SecretStr("hush"),
    pydantic.HttpUrl("http://localhost/x"),
    Text("x"),
    tagged("x", "y"),
    Things([1, (2,)]),
    Table(a=1),
    HumanMessage("hi", id="1"),
    HumanMessage([{"type": "text", "text": "x"}], name="bob", additional_kwargs={"k": (1,)}),
    AIMessage("", tool_calls=[{"name": "f", "args": {"x": 1}, "id": "c"}], response_metadata={"m": 1}),
    AIMessage("x", usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}),
    AIMessageChunk("x", id="2"),
    ToolMessage("x", tool_call_id="c", artifact=Frozen(1), status="error"),
    RemoveMessage(id="1"),
    Document("text", metadata={"source": pathlib.Path("a")}),
    Send("node", {"x": (1,)}),
    Send("node", 1, timeout=2.5),
    Command(update={"a": (1,)}, goto=[Send("n", 1), "m"], graph=Command.PARENT),
    Command(resume={"id": 0}),
    Command(),
    Interrupt({"q": (1,)}, "id"),
    Interrupt("q", "id", response_schema={"type": "string"}),
    Overwrite([1, (2,)]),
    MISSING,
    RecordedError("builtins:ValueError", "boom", "ValueError('boom')"),
]


def check(value: Any) -> None:
    """``value`` survives alone and inside of others, and always as the same bytes."""
    data = encode(value)
    back = decode(data)
    assert type(back) is type(value)
    assert back == value
    assert encode(back) == data
    inside = {"key": [value, (value,)], "frozen": Frozen(value), "model": Model.model_construct(value=value)}
    assert decode(encode(inside)) == inside
    assert decode(encode({0: value})) == {0: value}


@pytest.mark.parametrize("value", SAMPLES, ids=lambda value: type(value).__name__)
def test_every_kind_of_data_survives(value):
    check(value)


def test_what_equality_does_not_see_survives_too():
    assert math.isnan(decode(encode(math.nan)))
    assert math.copysign(1, decode(encode(-0.0))) == -1
    assert decode(encode(True)) is True
    assert decode(encode(tagged("x", "y"))).tag == "y"
    assert decode(encode(collections.deque(maxlen=3))).maxlen == 3
    assert decode(encode(collections.defaultdict(list))).default_factory is list
    assert decode(encode(dt.datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=1))).fold == 1
    assert decode(encode(dt.timezone(dt.timedelta(hours=1), "here"))).tzname(None) == "here"
    assert list(decode(encode({"b": 1, "a": 2}))) == ["b", "a"]
    assert decode(encode(Loose(value=1, more=2))).model_extra == {"more": 2}
    assert decode(encode(Model(value=1))).model_fields_set == {"value"}
    assert decode(encode(MISSING)) is MISSING


@pytest.mark.parametrize("value", [bytearray(b"x"), memoryview(b"x")], ids=["bytearray", "memoryview"])
def test_other_bytes_come_back_as_bytes(value):
    assert decode(encode([value])) == [b"x"]


@pytest.mark.parametrize(
    ("error", "message"),
    [(ValueError("boom"), "boom"), (KeyError("k"), "'k'"), (DashFlowError("no", x=threading.Lock()), "no")],
    ids=["ValueError", "KeyError", "DashFlowError"],
)
def test_an_exception_is_stored_as_a_description(error, message):
    recorded = decode(encode({"error": error}))["error"]
    assert isinstance(recorded, RecordedError)
    assert (str(recorded), repr(recorded)) == (message, repr(error))
    assert recorded.type_name.endswith(f":{type(error).__name__}")
    assert encode(recorded) == encode(error)
    assert recorded == decode(encode(error))
    assert hash(recorded) == hash(decode(encode(error)))


def test_an_exception_that_cannot_speak_is_described_all_the_same():
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError("no")

        __repr__ = __str__

    recorded = decode(encode(Mute()))
    assert str(recorded).endswith("Mute whose text cannot be had: RuntimeError>")


# -- any data -----------------------------------------------------------------------------------

zones = st.one_of(
    st.none(),
    st.just(dt.UTC),
    st.builds(dt.timezone, st.timedeltas(dt.timedelta(hours=-23), dt.timedelta(hours=23))),
    st.just(BERLIN),
)
hashables = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=())),
    st.binary(),
    st.complex_numbers(allow_nan=False),
    st.datetimes(timezones=zones),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.uuids(),
    st.decimals(allow_nan=False),
    st.fractions(),
    st.ip_addresses(),
    st.sampled_from([*Colour, *Level, *Kind, Rights.READ, Rights(3)]),
    st.builds(Text, st.text()),
    st.builds(pathlib.PurePosixPath, st.text("ab/.", min_size=1)),
)
texts = st.text(max_size=5)


def deeper(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    few = st.lists(values, max_size=3)
    return st.one_of(
        few,
        few.map(tuple),
        few.map(collections.deque),
        few.map(Things),
        st.dictionaries(texts, values, max_size=3),
        st.dictionaries(hashables, values, max_size=3),
        st.dictionaries(texts, values, max_size=3).map(collections.OrderedDict),
        st.dictionaries(texts, values, max_size=3).map(Table),
        st.sets(hashables, max_size=3),
        st.frozensets(hashables, max_size=3),
        st.builds(Point, st.integers(), values),
        st.builds(Record, texts, few),
        st.builds(Frozen, values),
        st.builds(Struct, values),
        st.builds(lambda value: Model.model_construct(value=value), values),
        st.builds(Send, texts, values),
        st.builds(Overwrite, values),
        st.builds(Interrupt, values, texts),
        st.builds(
            lambda update, goto: Command(update=update, goto=goto), values, st.lists(texts, max_size=2)
        ),
        st.builds(
            lambda text, extra: HumanMessage(text, additional_kwargs=extra),
            texts,
            st.dictionaries(texts, values, max_size=2),
        ),
        st.builds(
            lambda text, meta: Document(text, metadata=meta),
            texts,
            st.dictionaries(texts, values, max_size=2),
        ),
    )


anything = st.recursive(hashables, deeper, max_leaves=12)


@given(anything)
def test_any_data_survives(value):
    data = encode(value)
    back = decode(data)
    assert type(back) is type(value)
    assert back == value
    assert encode(back) == data


@given(st.lists(hashables, unique=True, max_size=6), st.randoms())
def test_a_sets_bytes_do_not_depend_on_its_order(items, random):
    shuffled = list(items)
    random.shuffle(shuffled)
    assert encode(set(items)) == encode(set(shuffled))


def test_the_same_bytes_in_another_process():
    program = """
from dashflow.log.codec import encode
from langchain_core.messages import HumanMessage
message = HumanMessage("x", id="1")
print(encode({"set": {"a", "b", "c", 1, (2, 3)}, "frozen": frozenset("xyz"), "message": message}).hex())
"""
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        )
        expected = {
            "set": {"a", "b", "c", 1, (2, 3)},
            "frozen": frozenset("xyz"),
            "message": HumanMessage("x", id="1"),
        }
        assert bytes.fromhex(done.stdout) == encode(expected)


# -- size and depth -----------------------------------------------------------------------------


def test_a_message_takes_little_more_than_its_text():
    text = "x" * 100
    assert len(encode(HumanMessage(text, id="1" * 36))) < 100 + 36 + 50


def nested(wrap: Any, depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = wrap(value)
    return value


@pytest.mark.parametrize(
    "wrap",
    [lambda v: [v], lambda v: {"k": v}, lambda v: (v,), Frozen, lambda v: {0: v}, lambda v: [(v, "x" * 300)]],
    ids=["list", "dict", "tuple", "dataclass", "odd keys", "mixed"],
)
def test_deep_data_survives(wrap):
    value = nested(wrap, 60)
    assert decode(encode(value)) == value


def test_data_that_contains_itself_is_refused():
    circle: list[Any] = []
    circle.append({"again": circle})
    ring = Record("ring", [])
    ring.parts.append((ring,))
    for value in (circle, ring, {"state": ring}):
        with pytest.raises(ValueCodecError, match="is nested more than 100 levels deep, or contains itself"):
            encode(value)


@given(anything)
def test_encoding_runs_alike_in_many_threads(value):
    expected = encode(value)
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(encode(value))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected, expected]
