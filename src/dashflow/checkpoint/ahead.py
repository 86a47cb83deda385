"""How far a run may be ahead of its log: a slow store slows runs down, and does not fill the memory."""

from __future__ import annotations

from typing import NamedTuple


class Ahead(NamedTuple):
    """What may be on its way to the store before a run waits; under durability "async" and "exit".

    A crash loses so much at most: those steps are done again, under the same idempotency keys. One record
    may be larger than ``bytes``; then it is waited for alone.

    Attributes:
        steps: Records, of a superstep or of a task.
        bytes: Of their payloads and large values together.
    """

    steps: int = 64
    bytes: int = 16_000_000
