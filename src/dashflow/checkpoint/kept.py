"""Values of threads as they are stored: bytes, of which each reader makes a value of his own.

What the log says of a channel is kept as it is there. Adding to a list adds bytes; the items before are
neither made nor copied. A value is made when somebody looks at it, once for each who does. Knows the codec;
decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
from ormsgpack import unpackb

from dashflow.checkpoint.events import Unknown, is_current
from dashflow.core.delta import Op, patch
from dashflow.core.events import EVENTS, Event, RunStarted, StateEdited, StepCompleted
from dashflow.core.kept import Kept
from dashflow.log.base import Record
from dashflow.log.codec import Registry, decode, encode
from dashflow.log.codec.raw import Raw, body_of, half_opened, is_alone, list_of

_PLAIN: Final = (str, int, float, bool, bytes, type(None))
_CHANGING: Final = frozenset({RunStarted.type, StepCompleted.type, StateEdited.type})
"""Events that may change channels."""


class Classes(NamedTuple):
    """What values may become; see ``ThreadReader``."""

    registry: Registry
    unknown: Unknown


class _Tree(NamedTuple):
    """A value half opened, or whole; ``encode`` makes the same bytes of both."""

    value: Any


class _Items(NamedTuple):
    """A list as the bytes of its items, in a few pieces: (count, bytes), each longer than the next."""

    pieces: list[tuple[int, bytes]]


class _Frame(NamedTuple):
    """An encoded value, packed."""

    data: bytes


class Stored(Kept):
    """A value of a channel as bytes.

    Args:
        form: An encoded value, or one of the forms above. Replaced only by another one of the same value.
        classes: What it may become.
    """

    __slots__ = ("_classes", "_form")

    def __init__(self, form: bytes | _Tree | _Items | _Frame, classes: Classes) -> None:
        self._form = form
        self._classes = classes

    def value(self) -> Any:
        """See ``Kept.value``.

        Raises:
            ValueCodecError: Its class is not registered.
        """
        return decode(self.data(), self._classes.registry, unknown=self._classes.unknown)

    def tail(self, count: int) -> Any:
        """See ``Kept.tail``."""
        form = self._form
        if type(form) is _Tree and type(form.value) is list:
            return decode(encode(form.value[-count:]), self._classes.registry, unknown=self._classes.unknown)
        if count <= 0 or type(form) is not _Items:
            return self.value()[-count:]
        wanted: list[tuple[int, bytes]] = []
        found = 0
        for piece in reversed(form.pieces):
            wanted.insert(0, piece)
            found += piece[0]
            if found >= count:
                break
        data = list_of(found, [body for _, body in wanted])
        return decode(data, self._classes.registry, unknown=self._classes.unknown)[-count:]

    def data(self) -> bytes:
        """The value encoded."""
        form = self._settled()
        if type(form) is _Items:
            return list_of(sum(count for count, _ in form.pieces), [body for _, body in form.pieces])
        assert type(form) is bytes
        return form

    def frame(self) -> bytes | None:
        """The encoded value packed; None: that would not make it smaller."""
        from dashflow.log.packing import packed  # for snapshots only

        form = self._form
        return form.data if type(form) is _Frame else packed(self.data())

    def _settled(self) -> bytes | _Items:
        """Let the form be bytes."""
        form = self._form
        if isinstance(form, _Tree):
            form = self._form = encode(form.value)
        elif isinstance(form, _Frame):
            from dashflow.log.packing import unpacked

            form = self._form = unpacked(form.data)
        return form

    def _items(self) -> _Items | None:
        """The form of a list that is added to; None: it is no list."""
        form = self._settled()
        if isinstance(form, bytes):
            if (items := body_of(form)) is None:
                return None
            form = self._form = _Items([items])
        return form

    def twin(self) -> Kept:
        """See ``Kept.twin``."""
        form = self._form
        if type(form) is _Items:
            form = _Items([*form.pieces])
        elif type(form) is _Tree and isinstance(form.value, list | dict | set):
            form = _Tree(form.value.copy())
        return Stored(form, self._classes)

    def patched(self, op: Op, *, owned: bool = False) -> Kept:
        """See ``Kept.patched``."""
        form = self._form
        if op[0] == "l" and not (owned and type(form) is _Tree):
            items = self._items()
            if items is not None and (added := _added(items, op[1:])) is not None:
                pieces = items.pieces if owned else [*items.pieces]
                for more in added:
                    _join(pieces, encode(more))
                return self if owned else Stored(_Items(pieces), self._classes)
            form = self._form
        if type(form) is _Tree:
            tree = form.value
        else:
            tree, owned = half_opened(self.data()), True
        if type(tree) is Raw:  # a set, or a dict whose keys are no texts
            tree, owned = self.value(), True
        return Stored(_Tree(patch(tree, op, owned=owned)), self._classes)


def _added(form: _Items, splices: Sequence[Sequence[Any]]) -> list[list[Any]] | None:
    """What splices add at the end, if that is all that they do."""
    end = sum(count for count, _ in form.pieces)
    added: list[list[Any]] = []
    for start, removed, items in splices:
        if start != end or removed:
            return None
        added.append(items)
        end += len(items)
    return added


def _join(pieces: list[tuple[int, bytes]], data: bytes) -> None:
    """Add an encoded list's items. Pieces of like length become one, so that there are few, and each byte is
    copied only as often as the logarithm of their number."""
    items = body_of(data)
    assert items is not None
    if not items[0]:
        return
    while pieces and len(pieces[-1][1]) < 2 * len(items[1]):
        count, body = pieces.pop()
        items = count + items[0], body + items[1]
    pieces.append(items)


def kept(value: Any, classes: Classes) -> Any:
    """A value, half opened or whole and nobody else's, as it is to be kept: plain ones are as they are."""
    return value if type(value) in _PLAIN else Stored(_Tree(value), classes)


def from_stored(data: bytes, classes: Classes, *, frame: bool) -> Stored:
    """What ``Stored.data`` or ``Stored.frame`` was."""
    return Stored(_Frame(data) if frame else data, classes)


def kept_event(record: Record, classes: Classes) -> Event | None:
    """The event in a record, with what it says of channels as it is stored.

    None: it has to be read as every event is (of another layout, with texts beside it, damaged), or has
    nothing of channels in it.
    """
    data = record.data
    if record.type not in _CHANGING or not is_current(record) or not is_alone(data):
        return None
    try:
        plain = unpackb(data, ext_hook=Raw)
        change = plain.get("change")
        if change and (put := change.get("put")):
            for chan, value in put.items():
                if type(value) not in _PLAIN:
                    put[chan] = Stored(_Tree(value), classes)
        if record.type != StepCompleted.type or _says_values(plain.get("wrote")):
            for name in _SAYING.intersection(plain):
                plain[name] = decode(encode(plain[name]), classes.registry, unknown=classes.unknown)
        return msgspec.convert(plain, EVENTS[record.type])
    except Exception:  # the usual way says what is wrong with it
        return None


_SAYING: Final = frozenset({"answer", "answers", "wrote"})
"""Fields of such events, besides the change, with values of users in them."""


def _says_values(wrote: Any) -> bool:
    """Whether what a task wrote is told by values of its own."""
    for write in wrote[2] if wrote else ():  # noqa: SIM110  # no generator for each event
        if len(write) == 2:
            return True
    return False


def with_kept(event: Event, classes: Classes) -> Event:
    """The event with whole values as they are to be kept; it is nobody else's."""
    change = getattr(event, "change", None)
    if change is not None:
        for chan, value in change.put.items():
            if type(value) not in _PLAIN:
                change.put[chan] = kept(value, classes)
    return event
