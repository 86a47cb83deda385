"""Turns a group of appends into one call of the server: all decided, written and committed there.

Keeps no state of streams: the server decides under its lock, so that nothing known here can be out of
date. Used by one thread at a time (see ``dashflow.log.commits``); starts none.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final

import psycopg

from dashflow.errors import (
    DashFlowError,
    DuplicateEventError,
    FencedError,
    OwnershipConflictError,
    UsageError,
    VersionConflictError,
)
from dashflow.log.admission import check_append
from dashflow.log.base import ANY, Append, Appended
from dashflow.log.commits import Pending
from dashflow.log.postgres import faults
from dashflow.log.postgres.batch import order_of, parameters_of
from dashflow.log.postgres.connections import Connections, Row, fetched

_UNFIT: Final = (ValueError, TypeError, OverflowError, struct.error)
"""What comes of packing an append that PostgreSQL cannot take."""


class Writer:
    """The only one who changes events and streams."""

    def __init__(
        self,
        connections: Connections,
        sql: dict[str, str],
        *,
        instance: str,
        lease_seconds: float,
        busy_seconds: float,
    ) -> None:
        self._connections = connections
        self._sql = sql
        self._instance = instance
        self._lease = lease_seconds
        self._busy = busy_seconds
        self._cursor: psycopg.Cursor[Row] | None = None
        self._claims: set[str] = set()
        self._claimed = False  # ever: then the server knows of this log
        self._unsure = False  # the last call may have been made without our being told

    @property
    def claims(self) -> int:
        """How many streams this log's owners hold, as far as this log knows."""
        return len(self._claims)

    # -- groups -------------------------------------------------------------------------------

    def commit(self, group: Sequence[Pending]) -> None:
        """Commit what can be, and give every append its result or its error.

        When the connection is lost nobody knows whether the group was committed. It is sent again: events
        are known by their ids, and what was written is answered with its first result.

        Raises:
            LogError: Nothing of the group was written, or the server did not come back to tell.
        """
        fit = []
        for pending in group:
            pending.result = pending.error = None
            try:
                check_append(pending.append, self._instance)
                fit.append(pending)
            except DashFlowError as refusal:
                pending.error = refusal
        if fit:
            self._connections.patiently(lambda: self._together(fit))

    def renew(self) -> None:
        """Move the lease of this log's owners; others may have taken over some of them."""

        def beat() -> None:
            self._call("beat", self._instance, self._lease)
            if not self._call("owns", self._instance)[0][0]:
                self._claims.clear()

        self._connections.patiently(beat, 0)

    def give_up(self) -> None:
        """Take leave, so that nobody waits for the end of the leases; without waiting for a server that is
        away."""
        if self._claimed:
            self._connections.patiently(lambda: self._call("give_up", self._instance), 0)
            self._claims.clear()

    def close(self) -> None:
        """Close the connection."""
        if self._cursor is not None:
            self._cursor.connection.close()
            self._cursor = None

    def _together(self, group: Sequence[Pending]) -> None:
        """The usual way: all in one call."""
        again = self._unsure
        try:
            rows = self._append([pending.append for pending in group])
        except (psycopg.Error, *_UNFIT) as problem:
            _only_unfit(problem)
            for pending in group:
                self._alone(pending, again)
            return
        for pending, row in zip(group, rows, strict=True):
            self._settle(pending, row, again)

    def _alone(self, pending: Pending, again: bool) -> None:
        """The careful way: every append by itself, so that one that cannot be written harms no other."""
        try:
            (row,) = self._append([pending.append])
        except (psycopg.Error, *_UNFIT) as problem:
            _only_unfit(problem)
            self._refuse(pending, problem)
        else:
            self._settle(pending, row, again)

    def _refuse(self, pending: Pending, problem: Exception) -> None:
        """Give an append that the server does not take its earlier result, or its error."""
        try:
            pending.result = self._explain(pending.append, problem)
        except DashFlowError as refusal:
            pending.error = refusal

    # -- one append ---------------------------------------------------------------------------

    def _settle(self, pending: Pending, row: Row, again: bool) -> None:
        """Make of the server's answer the append's result or error."""
        append = pending.append
        outcome, version, position, epoch, owner = row
        if outcome == "ok":
            pending.result = Appended(version, position, epoch)
            if append.owner:
                self._claimed = True
                ours = not append.release and append.owner.startswith(self._instance + "/")
                (self._claims.add if ours else self._claims.discard)(append.stream)
            return
        pending.result = self._already(append)
        if pending.result is not None:
            return
        if again and append.release and not append.events and not owner and epoch == append.epoch:
            pending.result = Appended(version, position, epoch)  # it was this one that has released it
        elif outcome == "owned":
            pending.error = OwnershipConflictError(append.stream, owner)
        elif outcome == "fenced":
            self._claims.discard(append.stream)
            pending.error = FencedError(append.stream, append.epoch, epoch)
        else:
            pending.error = VersionConflictError(append.stream, append.expected, version)

    def _already(self, append: Append) -> Appended | None:
        """The result of the same append, if it was made before."""
        events = append.events
        if not events:
            return None
        first = append.expected + 1
        if append.expected == ANY:
            place = self._call("place_of_event", events[0].event_id)
            if not place or place[0][1] != append.stream:
                return None
            first = place[0][0]
        there = self._call("ids_from", append.stream, first, len(events))
        if [row[0] for row in there] != [event.event_id for event in events]:
            return None
        _, version, position, epoch = there[-1]
        return Appended(version, position, epoch)

    def _explain(self, append: Append, problem: Exception) -> Appended:
        """The result of an append that the tables refused because it was made before, or its error."""
        if isinstance(problem, psycopg.errors.UniqueViolation):
            earlier = self._already(append)
            if earlier is not None:
                return earlier
            ids: set[bytes] = set()
            for event in append.events:
                place = self._call("place_of_event", event.event_id)
                if place or event.event_id in ids:
                    used_by = place[0][1] if place else None
                    raise DuplicateEventError(append.stream, event.event_id.hex(), used_by) from problem
                ids.add(event.event_id)
        said = " ".join(str(problem).split())
        raise UsageError(
            f"An append to {append.stream[:100]!r} holds what PostgreSQL cannot store: {said}. "
            "Nothing was written.",
            stream=append.stream,
        ) from problem

    # -- the server ---------------------------------------------------------------------------

    @property
    def _patience(self) -> int:
        """Milliseconds that the server lets us wait for others' appends."""
        return max(int(self._busy * 1000), 1)

    def _append(self, appends: Sequence[Append]) -> list[Row]:
        """Send appends; the answers in their order."""
        order = order_of(appends)
        parameters = parameters_of(appends, order)
        self._unsure = True
        sent = self._call("append", self._instance, self._lease, self._patience, *parameters)
        self._unsure = False
        rows: list[Row] = [()] * len(sent)
        for index, row in zip(order, sent, strict=True):
            rows[index] = row
        return rows

    def _call(self, query: str, *parameters: Any) -> list[Row]:
        cursor = self._cursor
        if cursor is None or cursor.connection.closed:
            cursor = self._cursor = self._connections.connect().cursor(binary=True)
        try:
            return fetched(cursor, self._sql[query], parameters)
        except psycopg.Error as error:
            if faults.is_passing(error):
                cursor.connection.close()
            elif query == "append":
                self._unsure = False  # it was refused as a whole
            raise


def _only_unfit(problem: Exception) -> None:
    """Raise again what does not come of what was sent."""
    if isinstance(problem, psycopg.Error) and not faults.is_unfit(problem):
        raise problem
