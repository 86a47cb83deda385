"""A crash before and after every port call of a batch: another process finishes it, repeats nothing recorded.

Everything is deterministic: the seed decides the schedule, and which submitted records reach the store.
"""

import contextlib
from collections import Counter

import pytest

from dashflow.batch import Batch, Count, Reduce
from dashflow.batch.core import codec
from dashflow.batch.core.events import ItemsAdded, ItemsCompleted, ItemsFailed
from dashflow.batch.core.fold import fold_all
from dashflow.hosts.simulated import SimulatedCrash, SimulatedHost
from dashflow.log.memory import MemoryLog, MemoryStore

pytestmark = pytest.mark.feature("BATCH-001", "BATCH-003")

ITEMS = [{"n": number} for number in range(14)]
EXPECTED = [2 * number for number in range(14) if number != 5]


class Life:
    """A batch's way to its end over any number of processes on one store."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.ran: Counter[int] = Counter()

    def process(self, host: SimulatedHost):
        """Run the batch; how it ends. Dies where the host does."""

        def work(item):
            self.ran[item["n"]] += 1
            if item["n"] == 5:
                raise ValueError("never")
            return 2 * item["n"]

        aggregate = {
            "count": Count(),
            "sum": Reduce(lambda total, result: total + result, 0),
            "list": Reduce(lambda seen, result: [*seen, result], [], ordered=True),
        }
        log = MemoryLog(self.store)
        try:
            batch = Batch(
                work,
                ITEMS,
                name="b",
                log=log,
                host=host,
                concurrency=3,
                ahead=4,
                aggregate=aggregate,
                key=lambda item: item["n"],
            )
            return batch.run()
        finally:
            log.abandon()

    def recorded(self) -> set[int]:
        """Items whose ends are in the store."""
        log = MemoryLog(self.store)
        events = [codec.decode(record) for record in log.read(codec.stream_of("b"))]
        log.close()
        state = fold_all(events)
        assert state.count == sum(event.count for event in events if isinstance(event, ItemsAdded))
        items = [item for event in events if isinstance(event, ItemsCompleted) for item in event.items]
        items += [one.item for event in events if isinstance(event, ItemsFailed) for one in event.failures]
        assert len(items) == len(set(items)), "an end is recorded once"
        return set(items)


def check(progress) -> None:
    assert (progress.status, progress.completed, progress.failed) == ("completed", 13, 1)
    assert progress.aggregates == {"count": 13, "sum": sum(EXPECTED), "list": EXPECTED}


def calls(seed: int) -> int:
    host = SimulatedHost(seed)
    life = Life()
    check(life.process(host))
    assert set(life.ran.values()) == {1}
    return host.calls


def crash_everywhere(seed: int, again: int | None = None) -> None:
    for at in range(1, calls(seed) + 1):
        for after in (False, True):
            life = Life()
            deaths = [(at, after), *([(again, not after)] if again else [])]
            for number, (where, how) in enumerate(deaths):
                with contextlib.suppress(SimulatedCrash):
                    life.process(SimulatedHost(seed + 100 * number, crash_at=where, crash_after=how))
            before, recorded = Counter(life.ran), life.recorded()
            check(life.process(SimulatedHost(seed + 1000)))
            assert all(life.ran[item] == before[item] for item in recorded), (at, after)
            assert set(life.ran) == set(range(14))


@pytest.mark.guarantee("batches-resume")
def test_a_batch_that_dies_anywhere_is_finished_by_another_process(soak) -> None:
    for seed in range(1, 40 if soak else 3):
        crash_everywhere(seed)


def test_a_process_that_takes_over_may_die_too(soak) -> None:
    for again in (2, 4, 7, 11) if soak else (5,):
        crash_everywhere(50 + again, again)


def test_the_same_seed_gives_the_same_batch_to_the_byte() -> None:
    def life(seed: int) -> list[tuple[str, bytes]]:
        one = Life()
        one.process(SimulatedHost(seed))
        return [(record.type, record.data) for record in MemoryLog(one.store).read(codec.stream_of("b"))]

    assert life(8) == life(8)


@pytest.mark.feature("BATCH-004")
def test_an_item_that_kills_its_process_does_not_kill_all_who_come() -> None:
    store = MemoryStore()
    deaths: list[SimulatedHost] = []

    def killing(host):
        def work(item):
            if item == 2:
                deaths.append(host)
                host.crashed = True
                raise SimulatedCrash
            return item

        return work

    def process(seed):
        log = MemoryLog(store)
        try:
            host = SimulatedHost(seed)
            return Batch(killing(host), range(6), name="b", log=log, host=host, concurrency=2).run()
        finally:
            log.abandon()

    progress = None
    for seed in range(9):
        with contextlib.suppress(SimulatedCrash):
            progress = process(seed)
            break
    assert progress is not None
    assert (progress.status, progress.completed, progress.failed) == ("completed", 5, 1)
    assert len(deaths) <= 4
    (letter,) = Batch(len, name="b", log=MemoryLog(store)).dead_letters()
    assert (letter.index, letter.kind) == (2, "LOST")
    assert letter.message == "3 processes died while it ran"
