"""The work of the event log, and of what is built on it alone: appending, following, sharing, batches.

DashFlow only; LangGraph has nothing that does it. ``where`` is ``sqlite`` or ``postgres``; every event is
durable when its append returns. Every function checks what it came to.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count

from benchmarks.appender import LIVE, Appender
from benchmarks.package import Library, chain, expect
from benchmarks.places import Place
from benchmarks.workloads import Figures
from dashflow.batch import Batch
from dashflow.log.base import EventLog, Subscription
from dashflow.log.groups import ConsumerGroup
from dashflow.log.open import open_log

KEYS = 100
PATIENCE = 60.0
"""Seconds without any event after which a subscriber gives up; for consumers, of the whole work."""


def append(lib: Library, where: str, appenders: int, batch: int, events: int) -> Figures:
    """Threads that each wait for their append before the next one: events per second of all."""
    return _written(lib, where, appenders, events // batch, lambda worker, each: worker.append(each, batch))


def submit(lib: Library, where: str, appenders: int, events: int) -> Figures:
    """Threads that are up to 64 appends ahead of the disk: events per second, until all are durable."""
    return _written(lib, where, appenders, events, Appender.submit)


def _written(
    lib: Library, where: str, appenders: int, appends: int, work: Callable[[Appender, int], None]
) -> Figures:
    place = lib.place(where)
    log = open_log(place.address)
    workers = [Appender(log, f"run-{number}") for number in range(appenders)]
    each = appends // appenders
    seconds = _beside([partial(work, worker, each) for worker in workers])
    total = sum(worker.version for worker in workers)
    expect([log.version(worker.name) for worker in workers], [total // appenders] * appenders)
    log.close()
    return {"rate": total / seconds, "bytes": place.size() / total}


def reading(lib: Library, where: str, events: int) -> Figures:
    """One ``read`` of a whole stream, and ``read_all`` in pages of 1,000: events per second."""
    log = open_log(lib.place(where).address)
    Appender(log, "run-0").submit(events)
    start = time.perf_counter()
    expect(len(log.read("run-0")), events)
    middle = time.perf_counter()
    seen, after = 0, 0
    while page := log.read_all(after=after):
        seen += len(page)
        after = page[-1].position
    end = time.perf_counter()
    expect(seen, events)
    log.close()
    return {"stream": events / (middle - start), "all": events / (end - middle)}


def delivery(lib: Library, where: str, subscribers: int, events: int, pause: int) -> Figures:
    """Events of another process, to subscribers on threads of this one.

    Milliseconds from the call of ``append`` over there until a subscriber has the event: the flush to the
    disk is part of it. All subscribers must get every event once, in order.
    """
    place = lib.place(where)
    log = open_log(place.address)
    followed = [log.subscribe(category=LIVE.partition("-")[0]) for _ in range(subscribers)]
    seen: list[list[tuple[int, int]]] = [[] for _ in followed]
    jobs = [partial(_follow, one, events, mine) for one, mine in zip(followed, seen, strict=True)]
    seconds = _beside([partial(_write, place, events, pause, followed), *jobs])
    log.close()
    wanted = list(range(1, events + 1))
    wrong = [mine for mine in seen if [version for version, _ in mine] != wanted]
    if wrong:
        raise AssertionError(f"{len(wrong)} of {subscribers} subscribers missed or repeated events")
    late = sorted(taken for mine in seen for _, taken in mine)
    return {
        "p50": late[len(late) // 2] / 1e6,
        "p99": late[len(late) * 99 // 100] / 1e6,
        "rate": len(late) / seconds,
    }


def _follow(subscription: Subscription, events: int, seen: list[tuple[int, int]]) -> None:
    while len(seen) < events:
        page = subscription.poll(timeout=PATIENCE)
        now = time.monotonic_ns()
        if not page:
            return  # what is missing is found by the check
        seen += [(record.version, now - int.from_bytes(record.data[:8], "big")) for record in page]


def _write(place: Place, events: int, pause: int, followed: Sequence[Subscription]) -> None:
    """Let another process append; subscriptions end early when it fails."""
    command = [sys.executable, "-m", "benchmarks.appender", str(events), str(pause)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{place.address}\n")
        process.stdin.flush()
        process.stdout.readline()
        process.communicate("go\n")
    if process.returncode:
        for one in followed:
            one.close()


def group(lib: Library, where: str, consumers: int, messages: int) -> Figures:
    """Consumers on threads that take messages of 100 keys and acknowledge each: messages per second."""
    log = open_log(lib.place(where).address)
    for worker in [Appender(log, f"order-{key}") for key in range(KEYS)]:
        worker.submit(messages // KEYS)
    shared = ConsumerGroup(log, "bench", category="order")
    taken = count()
    last: list[int] = []
    deadline = time.perf_counter() + PATIENCE

    def consume() -> None:
        with shared.consumer() as consumer:
            while not last and time.perf_counter() < deadline:
                message = consumer.take(within=0.02)
                if message is not None:
                    message.ack()
                    if next(taken) == messages - 1:
                        last.append(message.record.position)
            consumer.flush()

    seconds = _beside([consume] * consumers)
    expect(shared.status().acknowledged, messages)
    log.close()
    return {"rate": messages / seconds}


def batch(lib: Library, where: str, kind: str, items: int) -> Figures:
    """A durable batch over a function, or over a graph of one node with its own thread per item."""
    place = lib.place(where)
    if kind == "function":
        log = open_log(place.address)
        rate = _run(log, lambda item: {"n": item["n"] + 1}, items)
        log.close()
        return {"rate": rate}
    with lib.saver(where, place) as saver:
        graph = chain(lib, 1, asynchronous=False).compile(checkpointer=saver)
        return {"rate": _run(saver.log, graph, items)}


def _run(log: EventLog, work: object, items: int) -> float:
    given = Batch(work, ({"n": number} for number in range(items)), name="bench", log=log)
    start = time.perf_counter()
    progress = given.run()
    seconds = time.perf_counter() - start
    expect((progress.completed, progress.failed), (items, 0))
    expect(sum(result.value["n"] for result in given.results()), items * (items + 1) // 2)
    return items / seconds


def _beside(jobs: Sequence[Callable[[], object]]) -> float:
    """Seconds that all jobs take, each on a thread of its own."""
    threads = [threading.Thread(target=job) for job in jobs]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started


WORK: dict[str, Callable[..., Figures]] = {
    work.__name__: work for work in (append, submit, reading, delivery, group, batch)
}
