"""Large texts and bytes stand beside an encoded value, once each, and come back."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage

from dashflow.errors import MissingBlobError, ValueCodecError
from dashflow.log.codec import Registry, decode, encode
from dashflow.log.codec.blobs import LEAST, keys_in, split

pytestmark = pytest.mark.feature("LOG-04")

LARGE = "é" * LEAST


@dataclasses.dataclass
class Page:
    text: str
    parts: tuple[Any, ...] = ()


def load_from(blobs: dict[bytes, bytes]) -> Any:
    def load(key: bytes) -> bytes:
        try:
            return blobs[key]
        except KeyError:
            raise MissingBlobError("here", key) from None

    return load


@pytest.mark.parametrize(
    "value",
    [
        LARGE,
        LARGE.encode(),
        {"a": [LARGE, {"b": LARGE.encode()}], "c": 1.5, "d": None},
        (LARGE, {LARGE}, frozenset({b"x" * LEAST})),
        Page(LARGE, (Page("small"), Page(LARGE + "x"), {1: LARGE})),
        [HumanMessage(LARGE, id="1"), HumanMessage("small", id="2")],
        {"deep": [[[[[[{"x": (LARGE,)}]]]]]]},
    ],
)
def test_a_value_with_large_parts_comes_back(value: Any) -> None:
    registry = Registry()
    registry.register(Page)
    small, blobs = split(encode(value))
    assert len(small) < LEAST
    assert keys_in(small) == set(blobs)
    assert decode(small, registry, load=load_from(blobs)) == value


def test_what_is_the_same_is_kept_once_and_text_is_not_bytes() -> None:
    _, blobs = split(encode([LARGE, LARGE, (LARGE,)]))
    assert len(blobs) == 1
    assert split(encode({"other": LARGE}))[1].keys() == blobs.keys()
    assert not split(encode(LARGE.encode()))[1].keys() & blobs.keys()


def test_small_values_and_large_ones_of_small_parts_stay_as_they_are() -> None:
    for value in ("x" * (LEAST - 10), [["x" * 100] * 1000], list(range(LEAST))):
        data = encode(value)
        assert split(data) == (data, {})


def test_what_is_missing_or_changed_is_told() -> None:
    small, blobs = split(encode({"page": [LARGE]}))
    with pytest.raises(MissingBlobError):
        decode(small, load=load_from({}))
    with pytest.raises(ValueCodecError, match=r"page\[0\].*nobody said where"):
        decode(small)
    wrong = dict.fromkeys(blobs, b"something else")
    with pytest.raises(ValueCodecError, match="does not fit its key"):
        decode(small, load=load_from(wrong))


PARTS = st.recursive(
    st.one_of(
        st.none(),
        st.integers(),
        st.text(max_size=5),
        st.sampled_from([LARGE, LARGE[1:], LARGE.encode(), "x" * LEAST, b"x" * (LEAST - 1)]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(max_size=3), inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(st.integers(), inner, max_size=3),
    ),
    max_leaves=12,
)


@given(PARTS)
def test_any_value_comes_back(value: Any) -> None:
    data = encode(value)
    small, blobs = split(data)
    assert decode(small, load=load_from(blobs)) == value
    assert keys_in(small) == set(blobs)
    assert (small is data) is (not blobs)


@given(st.binary(max_size=60))
def test_hostile_data_is_refused_or_means_nothing(data: bytes) -> None:
    for code in (6, 7):
        hostile = bytes([0xC7, len(data), code]) + data
        with pytest.raises((ValueCodecError, MissingBlobError)):
            decode(hostile, load=load_from({}))
