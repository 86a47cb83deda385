"""Who waits for whom: a projection of all approvals of a log, with rows for each question that is asked.

What a list of one person's requests, a worker's timers, and a decision's way back need are rows of their own,
so that none of them grows with the approvals that are over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final
from urllib.parse import quote

import msgspec
from msgspec.structs import replace

from dashflow.checkpoint.sealed import is_sealed
from dashflow.errors import CorruptEventError
from dashflow.hitl.core import codec
from dashflow.hitl.core.events import ApprovalRequested, Origin
from dashflow.hitl.core.fold import fold
from dashflow.hitl.core.state import ApprovalState
from dashflow.hitl.core.timers import upcoming
from dashflow.log.base import Record
from dashflow.log.projections import Projection, View

ALL: Final = "all/"
WHO: Final = "who/"
DUE: Final = "due/"
TODO: Final = "todo/"
BAD: Final = "bad/"


class Standing(msgspec.Struct, frozen=True, tag=True):
    """An approval as it stands, without its payload and its answers' ids."""

    state: ApprovalState


class Waiting(msgspec.Struct, frozen=True, tag=True):
    """A request that waits for somebody's vote. Times are nanoseconds since the Unix epoch; 0: never."""

    approval: str
    round: int
    subject: str
    hash: str
    asked_by: str
    asked_at: int
    expires_at: int
    origin: Origin


class Timer(msgspec.Struct, frozen=True, tag=True):
    """Something will be due to an approval at a time."""

    approval: str
    at: int


class Undelivered(msgspec.Struct, frozen=True, tag=True):
    """A decision that who waits for it does not have yet."""

    approval: str
    round: int
    origin: Origin


class Unreadable(msgspec.Struct, frozen=True, tag=True):
    """An approval of which an event is damaged, and why: it is in no list, and holds up no other.

    An event that only a newer program can read is no damage: the view then waits for that program.
    """

    approval: str
    problem: str


Row = Standing | Waiting | Timer | Undelivered | Unreadable


class ApprovalOverview(Projection):
    """Rows by ``all/ID``, ``who/PERSON/SINCE/ID``, ``due/TIME/ID``, ``todo/ID``, and ``bad/ID``."""

    name: ClassVar[str] = "approvals"
    category: ClassVar[str | None] = codec.CATEGORY
    types: ClassVar[tuple[str, ...]] = tuple(sorted(codec.EVENT_TYPES))
    frozen: ClassVar[bool] = True
    _encoder = msgspec.msgpack.Encoder(order="deterministic")
    _decoder: ClassVar[msgspec.msgpack.Decoder[Row]] = msgspec.msgpack.Decoder(Row)

    def changes(self, record: Record, view: View) -> Mapping[str, Any]:
        """See ``Projection.changes``."""
        name = codec.approval_of(record.stream)
        key = ALL + name
        row = view.get(key)
        before = ApprovalState() if row is None else row.state
        if row is None and view.get(BAD + name) is not None:
            return {}
        try:
            event = codec.decode(record)
        except CorruptEventError as error:
            if is_sealed(record):
                raise  # it is sound, for those who have the key
            gone = {key: None, **dict.fromkeys(_index(before))}
            return {**gone, BAD + name: Unreadable(name, str(error))}
        if isinstance(event, ApprovalRequested):
            event = replace(event, payload=None)
        after = replace(fold(before, event), answers={})
        old, new = _index(before), _index(after)
        changes: dict[str, Any] = dict.fromkeys(old.keys() - new.keys())
        changes.update({there: row for there, row in new.items() if old.get(there) != row})
        changes[key] = Standing(after)
        return changes

    def dump(self, value: Any) -> bytes:
        """See ``Projection.dump``."""
        return self._encoder.encode(value)

    def load(self, data: bytes) -> Row:
        """See ``Projection.load``."""
        return self._decoder.decode(data)


def waiting_for(person: str) -> str:
    """The beginning of the keys of requests that wait for somebody."""
    return f"{WHO}{quote(person, safe='')}/"


def _index(state: ApprovalState) -> dict[str, Row]:
    """What can be looked up about an approval beside itself."""
    rows: dict[str, Row] = {}
    if missing := state.missing:
        waiting = Waiting(
            state.id,
            state.round,
            state.subject,
            state.hash,
            state.asked_by,
            state.asked_at,
            state.expires_at,
            state.origin,
        )
        rows.update({f"{waiting_for(one)}{state.asked_at:020d}/{state.id}": waiting for one in missing})
    if (due := upcoming(state)) is not None:
        rows[f"{DUE}{due.at:020d}/{state.id}"] = Timer(state.id, due.at)
    if state.over and not state.taken and state.origin.kind:
        rows[f"{TODO}{state.id}"] = Undelivered(state.id, state.round, state.origin)
    return rows
