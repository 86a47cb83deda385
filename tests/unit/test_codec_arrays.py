"""The codec and numpy, where it is installed: arrays and scalars of plain data, and nothing else."""

import ormsgpack
import pytest

from dashflow.errors import ValueCodecError
from dashflow.log.codec import decode, encode

numpy = pytest.importorskip("numpy")

pytestmark = pytest.mark.feature("NEW-11")


ARRAYS = [
    numpy.arange(6, dtype="<f4").reshape(2, 3),
    numpy.asfortranarray(numpy.arange(6).reshape(2, 3)),
    numpy.arange(10)[::3],
    numpy.array(3.5),
    numpy.empty((0, 3)),
    numpy.array([True, False]),
    numpy.array(["a", "bcd"]),
    numpy.array([b"x"]),
    numpy.array([1 + 2j]),
    numpy.array(["2026-01-01", "NaT"], dtype="M8[D]"),
    numpy.array([3], dtype=">i2"),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: str(array.dtype))
def test_arrays_survive(array):
    data = encode({"embedding": [array]})
    back = decode(data)["embedding"][0]
    assert (type(back), back.dtype, back.shape) == (numpy.ndarray, array.dtype, array.shape)
    numpy.testing.assert_array_equal(back, array)
    assert back.flags.writeable
    assert encode({"embedding": [back]}) == data


@pytest.mark.parametrize(
    "scalar",
    [
        numpy.float64(1.5),
        numpy.float32(1.5),
        numpy.int8(-3),
        numpy.bool_(True),
        numpy.str_("x"),
        numpy.datetime64("2026-01-01"),
    ],
    ids=repr,
)
def test_scalars_survive(scalar):
    back = decode(encode((scalar,)))[0]
    assert type(back) is type(scalar)
    assert back == scalar


@pytest.mark.parametrize(
    "array",
    [numpy.array([object()]), numpy.zeros(2, dtype="i4,f4"), numpy.ma.masked_array([1])],
    ids=lambda array: f"{type(array).__name__} {array.dtype}",
)
def test_arrays_of_more_than_plain_data_are_refused(array):
    with pytest.raises(ValueCodecError) as caught:
        encode({"a": array})
    assert caught.value.data["path"] == "a"


@pytest.mark.parametrize(
    "parts",
    [
        ["|O8", [1], "C", b"\0" * 8],
        ["<f8", [10**12], "C", b""],
        ["<f8", [3], "C", b"\0" * 8],
        ["<f8", [-1, 0], "C", b""],
        ["<f8", [1], "X", b"\0" * 8],
        ["i4,i4", [1], "C", b"\0" * 8],
    ],
)
def test_arrays_that_cannot_be_are_refused(parts):
    with pytest.raises(ValueCodecError):
        decode(ormsgpack.packb(ormsgpack.Ext(46, ormsgpack.packb(parts))))
