"""Flows of one event loop that ask a log for versions at the same time share its answers."""

import asyncio
import gc
import threading

import pytest

from dashflow.errors import StorageUnavailableError
from dashflow.hosts.aio import AioHost
from dashflow.hosts.questions import _OPEN
from dashflow.log.base import Append
from dashflow.log.memory import MemoryLog
from dashflow.testing.log_case import new_events

pytestmark = pytest.mark.feature("NEW-07")


class Far(MemoryLog):
    """A log behind a network, so to speak: nobody may glance at it, and it answers when it is let."""

    def __init__(self):
        super().__init__()
        self.asked = []
        self.let = threading.Event()
        self.refuses = False

    def glance(self, streams):
        return None

    def versions(self, streams):
        self.let.wait()
        self.asked.append(list(streams))
        if self.refuses and len(streams) > 1:
            raise StorageUnavailableError(self.where, "it is away")
        return super().versions(streams)


def written():
    log = Far()
    for number in range(10):
        log.append(Append(f"run-{number}", new_events(number + 1)))
    return log


def test_who_asks_while_a_question_is_under_way_goes_with_the_next():
    log = written()

    async def main():
        host = AioHost()
        flows = []
        for count in (1, 4, 5):
            for _ in range(count):
                asked = [f"run-{len(flows)}", "none"]
                flows.append(asyncio.ensure_future(host.versions(log, asked)))
            for _ in range(5):
                await asyncio.sleep(0)
        log.let.set()
        return await asyncio.gather(*flows)

    assert asyncio.run(main()) == [[number + 1, 0] for number in range(10)]
    assert [len(streams) for streams in log.asked] == [2, 18]


def test_those_who_ask_a_log_at_hand_in_the_same_turn_go_together():
    glances = []

    class Near(MemoryLog):
        def glance(self, streams):
            glances.append(len(streams))
            return super().glance(streams)

    log = Near()
    log.append(Append("run-3", new_events(2)))

    async def main():
        host = AioHost()
        return await asyncio.gather(*(host.versions(log, [f"run-{n}", "none"]) for n in range(10)))

    assert asyncio.run(main()) == [[2 * (number == 3), 0] for number in range(10)]
    assert glances == [2, 18]


def test_one_who_is_cancelled_takes_nobody_along():
    log = written()

    async def main():
        host = AioHost()
        flows = [asyncio.ensure_future(host.versions(log, [f"run-{n}"])) for n in range(3)]
        await asyncio.sleep(0)
        flows[0].cancel()
        flows[1].cancel()
        log.let.set()
        return await asyncio.gather(*flows, return_exceptions=True)

    found = asyncio.run(main())
    assert [type(one) for one in found[:2]] == [asyncio.CancelledError] * 2
    assert found[2] == [3]


def test_an_error_is_met_by_those_whose_it_is():
    log = written()
    log.refuses = True
    log.let.set()

    async def main():
        host = AioHost()
        asked = [["run-0"], ["run-1", "run-2"], ["run-3"]]
        return await asyncio.gather(*(host.versions(log, one) for one in asked), return_exceptions=True)

    found = asyncio.run(main())
    assert (found[0], found[2]) == ([1], [4])
    assert isinstance(found[1], StorageUnavailableError)


def test_loops_that_are_over_leave_nothing():
    log = written()
    log.let.set()
    for _ in range(3):
        assert asyncio.run(AioHost.versions(None, log, ["run-1"])) == [2]
    gc.collect()
    assert not [loop for loop in _OPEN if loop.is_closed()]
