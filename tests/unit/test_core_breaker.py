"""The circuit breaker's machine: given these events, when this happens, then those events."""

import pytest

from dashflow.core.breaker import (
    CLOSED,
    EVENTS,
    TABLE,
    Breaker,
    CircuitClosed,
    CircuitOpened,
    ProbeStarted,
    Refused,
    ask,
    fold,
    outcome,
)

pytestmark = pytest.mark.feature("RES-01")

OPENED = CircuitOpened(100, 3)
PROBE = ProbeStarted(150)
SAMPLES = {"CircuitOpened": OPENED, "ProbeStarted": PROBE, "CircuitClosed": CircuitClosed()}


def given(*events):
    breaker = CLOSED
    for version, event in enumerate(events, 1):
        breaker = fold(breaker, event, version)
    return breaker


@pytest.mark.parametrize(
    ("events", "now", "answer"),
    [
        ((), 0, None),
        ((OPENED,), 99, Refused(100)),
        ((OPENED,), 100, ProbeStarted(150)),
        ((OPENED, PROBE), 149, Refused(150)),  # one probe at a time
        ((OPENED, PROBE), 150, ProbeStarted(200)),  # it was lost
        ((OPENED, PROBE, CircuitClosed()), 150, None),
        ((OPENED, PROBE, CircuitOpened(300)), 299, Refused(300)),
    ],
)
def test_what_becomes_of_a_call(events, now, answer):
    assert ask(given(*events), now, 50) == answer


@pytest.mark.parametrize(
    ("events", "failed", "probing", "recorded"),
    [
        ((), [1, 2], False, None),  # not often enough
        ((), [1, 2, 3], False, CircuitOpened(1010, 3)),
        ((), [], False, None),
        ((OPENED,), [1, 2, 3], False, None),  # somebody else has opened it
        ((OPENED, PROBE), [1], True, CircuitOpened(1010, 1)),
        ((OPENED, PROBE), [], True, CircuitClosed()),
        ((OPENED, PROBE), [1, 2, 3], False, None),  # a call from before it opened
        ((OPENED, PROBE, CircuitClosed()), [], True, None),  # a probe that took too long
    ],
)
def test_what_the_end_of_a_call_means(events, failed, probing, recorded):
    end = outcome(given(*events), failed, probing=probing, now=1000, open_for=10, most=3)
    assert end == recorded


def test_every_row_of_the_table_and_nothing_else():
    phases = {phase for phase, _ in TABLE} | set(TABLE.values())
    for phase in phases:
        for name in EVENTS:
            breaker = Breaker(phase, 0, 4)
            wanted = TABLE.get((phase, name))
            if wanted is None:
                with pytest.raises(ValueError, match=name):
                    fold(breaker, SAMPLES[name], 5)
            else:
                assert fold(breaker, SAMPLES[name], 5) == Breaker(
                    wanted, getattr(SAMPLES[name], "until", 0), 5
                )


def test_the_docs_draw_the_table():
    with open("docs/how-to/when-nodes-fail.md", encoding="utf-8") as page:
        text = page.read()
    names = {"closed": "closed", "open": "open", "half_open": "half open"}
    for (phase, event), after in TABLE.items():
        assert f"| {names[phase]} | `{event}` | {names[after]} |" in text
