"""A group of appends as the parameters of one call of the function ``append``. Pure.

The function wants the appends of one stream beside each other; the events keep the order in which they
were submitted, which becomes their order in the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from dashflow.log.base import Append, NewEvent
from dashflow.log.packing import stored
from dashflow.log.postgres.arrays import byteas, int8s, texts, uuids
from dashflow.log.postgres.places import of_blob, of_event

CLAIM: Final = 1
RELEASE: Final = 2
UNOWNED: Final = 4
FORCE: Final = 8


def order_of(appends: Sequence[Append]) -> list[int]:
    """The indexes of appends in the order in which they are sent."""
    if len(appends) == 1:
        return [0]
    return sorted(range(len(appends)), key=lambda index: appends[index].stream)


def parameters_of(appends: Sequence[Append], order: Sequence[int]) -> list[Any]:
    """What the function takes after ``patience``.

    Raises:
        UnicodeEncodeError, ValueError, TypeError, struct.error: PostgreSQL cannot take one of the values.
    """
    events: list[NewEvent] = []
    belongs: list[int] = []
    starts = [0] * len(appends)
    rank = [0] * len(appends)
    for number, index in enumerate(order, 1):
        rank[index] = number
    for index, append in enumerate(appends):
        starts[index] = len(events)
        events += append.events
        belongs += [rank[index]] * len(append.events)
    kept = [
        stored(
            event.data,
            of_event(
                appends[order[belonging - 1]].stream,
                event.type,
                event.schema,
                event.event_id,
                event.correlation_id,
                event.causation_id,
                event.at,
                event.fingerprint,
            ),
        )
        for event, belonging in zip(events, belongs, strict=True)
    ]
    sent = [appends[index] for index in order]
    blobs = [
        (number, key, *stored(data, of_blob(key)))
        for number, event in enumerate(events, 1)
        if event.blobs
        for key, data in event.blobs.items()
    ]
    return [
        texts([append.stream for append in sent]),
        int8s([append.expected for append in sent]),
        texts([append.owner for append in sent]),
        int8s([append.epoch for append in sent]),
        int8s([_asks(append) for append in sent]),
        int8s([append.forget for append in sent]),
        int8s([len(append.events) for append in sent]),
        int8s([starts[index] for index in order]),
        int8s(belongs),
        texts([event.type for event in events]),
        int8s([event.schema for event in events]),
        uuids(event.event_id for event in events),
        texts([event.correlation_id for event in events]),
        uuids(event.causation_id for event in events),
        int8s([event.at for event in events]),
        texts([event.fingerprint for event in events]),
        int8s([mark for mark, _ in kept]),
        byteas([data for _, data in kept]),
        int8s([number for number, _, _, _ in blobs]),
        byteas([key for _, key, _, _ in blobs]),
        int8s([mark for _, _, mark, _ in blobs]),
        byteas([data for _, _, _, data in blobs]),
    ]


def _asks(append: Append) -> int:
    """What an append asks for besides its events, as bits."""
    return (
        (CLAIM if append.claim else 0)
        | (RELEASE if append.release else 0)
        | (UNOWNED if append.unowned else 0)
        | (FORCE if append.force else 0)
    )
