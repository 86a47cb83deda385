"""Projections: views that are made from the log's events and can be made again, byte for byte.

A view and the position up to which it has seen the log change in one commit (``EventLog.project``), so a
runner may be killed at any point and counts nothing twice. Several may run the same projection: each
batch is committed by whoever is first, the others go on from there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import islice
from threading import Lock
from typing import Any, ClassVar, Final

from dashflow._util.drive import drive
from dashflow.errors import LogClosedError, StorageUnavailableError, UsageError, VersionConflictError
from dashflow.log.base import EventLog, Record, Subscription
from dashflow.log.calls import Calls, directly, in_a_thread
from dashflow.log.codec import Registry, decode, encode

BATCH: Final = 500
"""Events per commit, at most."""


class Projection(ABC):
    """What a view shows: which events it is made from, and how each changes it. Subclass it.

    Attributes:
        name: The view's.
        version: Of this code. A higher one makes the view anew, beside the old one until it has caught up.
        category, types, correlation: Which events, as in ``EventLog.subscribe``.
        classes: Classes that values in the view may be instances of, beside plain data.
        frozen: Whether values never change, so that those of a batch of events need no copies of their own.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    category: ClassVar[str | None] = None
    types: ClassVar[tuple[str, ...]] = ()
    correlation: ClassVar[str] = ""
    classes: ClassVar[tuple[type, ...]] = ()
    frozen: ClassVar[bool] = False

    @abstractmethod
    def changes(self, record: Record, view: View) -> Mapping[str, Any]:
        """What an event changes: new values by key; None removes one.

        Must depend on nothing but its arguments: no clock, no other store, nothing remembered. Then the
        view can be made again and is the same.
        """

    def dump(self, value: Any) -> bytes:
        """A value as bytes; equal values must be equal bytes."""
        return encode(value, self.name)

    def load(self, data: bytes) -> Any:
        """The way back."""
        return decode(data, Registry(self.classes), path=self.name)


class View:
    """A projection's view, for reading, with changes that are not committed yet."""

    def __init__(self, projection: Projection, log: EventLog | None, name: str) -> None:
        self._projection = projection
        self._log = log
        self._name = name
        self._changed: dict[str, bytes | None] = {}
        self._held: dict[str, Any] = {}

    @property
    def changed(self) -> Mapping[str, bytes | None]:
        """What is not committed yet, as bytes."""
        held, self._held = self._held, {}
        self._changed.update({key: self._dumped(value) for key, value in held.items()})
        return self._changed

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key. A copy, unless values never change: changing it changes nothing."""
        if key in self._held:
            value = self._held[key]
            return default if value is None else value
        # Of all keys that begin like this one, it comes first itself.
        data = self._changed[key] if key in self._changed else self._stored(key, 1).get(key)
        return default if data is None else self._projection.load(data)

    def items(self, prefix: str = "", limit: int | None = None) -> dict[str, Any]:
        """Values by key, for all keys that begin with ``prefix``, or the first ``limit``, in key order."""
        changed = self.changed
        found: dict[str, bytes | None] = dict(self._stored(prefix, None if changed else limit))
        found.update({key: data for key, data in changed.items() if key.startswith(prefix)})
        load = self._projection.load
        there = (key for key in sorted(found) if found[key] is not None)
        return {key: load(found[key] or b"") for key in islice(there, limit)}

    def apply(self, changes: Mapping[str, Any]) -> None:
        """Take over what an event changed."""
        if self._projection.frozen:
            self._held.update(changes)
            return
        for key, value in changes.items():
            self._changed[key] = self._dumped(value)

    def _dumped(self, value: Any) -> bytes | None:
        return None if value is None else self._projection.dump(value)

    def _stored(self, prefix: str, limit: int | None) -> dict[str, bytes]:
        if self._log is None:
            return {}
        return self._log.view(self._name, prefix=prefix, limit=limit)


class Projector:
    """Keeps a projection's view up to date, and reads it.

    Args:
        log: Where the events and the view are.
        projection: What the view shows.

    Raises:
        UsageError: The projection has no name, or no version from 1.
    """

    def __init__(self, log: EventLog, projection: Projection) -> None:
        if not getattr(projection, "name", "") or projection.version < 1:
            raise UsageError(f"{type(projection).__name__} needs a name, and a version from 1.")
        self._log = log
        self._projection = projection
        self._view = f"{projection.name}.{projection.version}"
        conditions = {
            "category": projection.category,
            "types": tuple(projection.types),
            "correlation": projection.correlation,
        }
        self._conditions: dict[str, Any] = {name: value for name, value in conditions.items() if value}
        self._turn = Lock()
        self._subscription: Subscription | None = None
        self._closed = False

    @property
    def position(self) -> int:
        """Up to here the view has seen the log."""
        return self._log.view_position(self._view)

    # -- keeping it up to date --------------------------------------------------------------------

    def catch_up(self) -> int:
        """Bring the view to where the log is; its position then.

        Raises:
            LogError: The log cannot be read or written.
            Exception: The projection's own, with a note that says at which event; what was committed before
                stays, and nothing of this batch.
        """
        return drive(self._catch_up(directly))

    async def acatch_up(self) -> int:
        """``catch_up``, without blocking the event loop."""
        return await self._catch_up(in_a_thread)

    def follow(self, within: float | None = None) -> int:
        """Catch up, then go on with what comes, until closed or nothing has come for ``within`` seconds."""
        return drive(self._follow(directly, within))

    async def afollow(self, within: float | None = None) -> int:
        """``follow``, without blocking the event loop."""
        return await self._follow(in_a_thread, within)

    def rebuild(self) -> int:
        """Make the view again from the first event; its position then. Readers see it grow meanwhile."""
        self._log.drop_view(self._view)
        return self.catch_up()

    def close(self) -> None:
        """End ``follow``, from any thread."""
        with self._turn:
            self._closed = True
            if self._subscription is not None:
                self._subscription.close()

    # -- reading it -------------------------------------------------------------------------------

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, as of ``position``."""
        return self._open().get(key, default)

    def items(self, prefix: str = "", limit: int | None = None) -> dict[str, Any]:
        """Values by key, for all keys that begin with ``prefix``, or the first ``limit``, as of
        ``position``."""
        return self._open().items(prefix, limit)

    def current(self, prefix: str = "") -> dict[str, Any]:
        """``items`` as of now: the view is brought there, or, where nothing can be written, ``look``."""
        try:
            self.catch_up()
        except StorageUnavailableError:
            return self.look(prefix)
        return self.items(prefix)

    def look(self, prefix: str = "") -> dict[str, Any]:
        """``items`` as of now; what the view does not have yet is added in memory, and nothing written."""
        while True:
            position = self.position
            view = self._open()
            self._fold(view, position, None)
            items = view.items(prefix)
            if self.position == position:  # else what was added in memory may have been in there already
                return items

    def verify(self) -> list[str]:
        """Make the view again in memory, and compare: the keys whose stored bytes are others."""
        while True:
            position = self.position
            stored = self._log.view(self._view)
            if self.position == position:
                break
        made = View(self._projection, None, self._view)
        self._fold(made, 0, position)
        right = {key: data for key, data in made.changed.items() if data is not None}
        return sorted(key for key in right.keys() | stored.keys() if right.get(key) != stored.get(key))

    # -- how --------------------------------------------------------------------------------------

    def _open(self) -> View:
        return View(self._projection, self._log, self._view)

    async def _catch_up(self, calls: Calls) -> int:
        position: int = await calls(self._log.view_position, self._view)
        while records := await calls(self._page, position):
            position = await calls(self._commit, records, position)
        await calls(self._retire)
        return position

    async def _follow(self, calls: Calls, within: float | None) -> int:
        position = await self._catch_up(calls)
        while not self._closed:
            subscription = self._subscribe(position)
            try:
                while records := await calls(subscription.poll, within, BATCH):
                    expected, position = position, await calls(self._commit, records, position)
                    if position != records[-1].position or position < expected:
                        break  # somebody else was quicker: on from there
                else:
                    return position
            except LogClosedError:
                return position
            finally:
                subscription.close()
        return position

    def _subscribe(self, position: int) -> Subscription:
        with self._turn:
            self._subscription = subscription = self._log.subscribe(after=position, **self._conditions)
            if self._closed:
                subscription.close()
        return subscription

    def _page(self, after: int) -> list[Record]:
        return self._log.read_all(after=after, limit=BATCH, **self._conditions)

    def _commit(self, records: Sequence[Record], position: int) -> int:
        """Commit what a batch changes; the position at which the view is then, whoever brought it there."""
        view = self._open()
        self._apply(view, records)
        last = records[-1].position
        try:
            self._log.project(self._view, last, view.changed, expected=position)
        except VersionConflictError:
            return self._log.view_position(self._view)
        return last

    def _apply(self, view: View, records: Sequence[Record]) -> None:
        for record in records:
            try:
                view.apply(self._projection.changes(record, view))
            except Exception as error:
                error.add_note(
                    f"Projection {self._projection.name!r} at {record.type} of {record.stream!r}, "
                    f"version {record.version}, position {record.position}."
                )
                raise

    def _fold(self, view: View, position: int, upto: int | None) -> None:
        """Add to a view in memory what comes after a position, up to and with another."""
        while records := self._page(position):
            position = records[-1].position
            self._apply(view, [record for record in records if upto is None or record.position <= upto])
            if upto is not None and position >= upto:
                return

    def _retire(self) -> None:
        """Drop the views of earlier versions, which this one has now caught up with. Once."""
        if self._retired:
            return
        self._retired = True
        for version in range(1, self._projection.version):
            name = f"{self._projection.name}.{version}"
            if self._log.view_position(name):
                self._log.drop_view(name)

    _retired = False
