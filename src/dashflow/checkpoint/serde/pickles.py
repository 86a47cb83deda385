"""Pickles of tables and arrays, read through a closed table of what they may name.

Only for serialisers that were told ``pickle_fallback=True``. A pickle is a program; this reader runs those
only that put together pandas and numpy values, and what the program itself allowed.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

from dashflow.checkpoint.serde.names import Allowed, allowed_class

_NAMES: dict[str, str] = {
    "__builtin__": "bytearray bytes frozenset set",
    "builtins": "bytearray bytes complex frozenset range set slice",
    "collections": "Counter OrderedDict deque",
    "datetime": "date datetime time timedelta timezone",
    "decimal": "Decimal",
    "fractions": "Fraction",
    "numpy": "dtype ndarray",
    "numpy.core.multiarray": "_reconstruct scalar",
    "numpy._core.multiarray": "_reconstruct scalar",
    "pandas": (
        "Categorical CategoricalDtype CategoricalIndex DataFrame DatetimeIndex DatetimeTZDtype Index "
        "Interval IntervalDtype IntervalIndex MultiIndex Period PeriodDtype PeriodIndex RangeIndex Series "
        "StringDtype Timedelta TimedeltaIndex Timestamp"
    ),
    "pandas._libs.arrays": "__pyx_unpickle_NDArrayBacked",
    "pandas._libs.internals": "_unpickle_block",
    "pandas._libs.interval": "Interval __pyx_unpickle_IntervalMixin",
    "pandas._libs.tslibs.nattype": "_nat_unpickle",
    "pandas._libs.tslibs.offsets": "Day Hour Minute MonthEnd Second",
    "pandas._libs.tslibs.period": "_unpickle_period",
    "pandas._libs.tslibs.timedeltas": "_timedelta_unpickle",
    "pandas._libs.tslibs.timestamps": "_unpickle_timestamp",
    "pandas.arrays": (
        "BooleanArray Categorical DatetimeArray FloatingArray IntegerArray IntervalArray PeriodArray "
        "StringArray TimedeltaArray"
    ),
    "pandas.core.arrays.boolean": "BooleanArray BooleanDtype",
    "pandas.core.arrays.categorical": "Categorical",
    "pandas.core.arrays.datetimes": "DatetimeArray",
    "pandas.core.arrays.floating": "Float32Dtype Float64Dtype FloatingArray",
    "pandas.core.arrays.integer": (
        "Int16Dtype Int32Dtype Int64Dtype Int8Dtype IntegerArray UInt16Dtype UInt32Dtype "
        "UInt64Dtype UInt8Dtype"
    ),
    "pandas.core.arrays.interval": "IntervalArray",
    "pandas.core.arrays.period": "PeriodArray",
    "pandas.core.arrays.string_": "StringArray StringDtype",
    "pandas.core.arrays.timedeltas": "TimedeltaArray",
    "pandas.core.dtypes.dtypes": "CategoricalDtype DatetimeTZDtype IntervalDtype PeriodDtype",
    "pandas.core.frame": "DataFrame",
    "pandas.core.indexes.base": "Index _new_Index",
    "pandas.core.indexes.category": "CategoricalIndex",
    "pandas.core.indexes.datetimes": "DatetimeIndex _new_DatetimeIndex",
    "pandas.core.indexes.interval": "IntervalIndex",
    "pandas.core.indexes.multi": "MultiIndex",
    "pandas.core.indexes.period": "PeriodIndex",
    "pandas.core.indexes.range": "RangeIndex",
    "pandas.core.indexes.timedeltas": "TimedeltaIndex",
    "pandas.core.internals.managers": "BlockManager SingleBlockManager",
    "pandas.core.series": "Series",
    "uuid": "UUID",
    "zoneinfo": "ZoneInfo._unpickle",
}

TABLE: frozenset[tuple[str, str]] = frozenset(
    (module, name) for module, names in _NAMES.items() for name in names.split()
)
"""(module, name) of everything that a pickle may name: data, and how data is put together."""


def dumps(value: Any) -> bytes:
    """``value`` as a pickle."""
    return pickle.dumps(value)


def loads(data: bytes, allowed: Allowed) -> Any:
    """The value in a pickle.

    Args:
        data: Bytes from anywhere.
        allowed: Names that the program allows besides the table's.

    Raises:
        pickle.UnpicklingError: It names something that is not allowed.
    """
    return _Reader(io.BytesIO(data), allowed).load()


def _latin(text: str, encoding: str) -> bytes:
    """How old pickles say bytes; of all encodings only the one they use."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"A stored pickle asks for the encoding {encoding!r}")
    return text.encode("latin1")


class _Reader(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, allowed: Allowed) -> None:
        super().__init__(file)
        self._allowed = allowed if isinstance(allowed, set) else set()

    def find_class(self, module: str, name: str) -> Any:
        """What the pickle names.

        Raises:
            pickle.UnpicklingError: It is not in the table, nor allowed by the program.
        """
        if (module, name) == ("_codecs", "encode"):
            return _latin
        if (module, name) in TABLE:
            return super().find_class(module, name)
        if (module, name) in self._allowed:
            return allowed_class((module, name))
        raise pickle.UnpicklingError(
            f"A stored pickle names {module}.{name}, which is not allowed. To allow a class of yours, pass "
            f"allowed_msgpack_modules=[({module!r}, {name!r})]."
        )
