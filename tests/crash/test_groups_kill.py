"""kill -9 of consumers in the middle of messages: every message is handled again, none is lost.

Consumers are real processes on one log. Each tells of a message before and after it has handled it.
"""

import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from dashflow.log.base import Append
from dashflow.log.groups import ConsumerGroup
from dashflow.log.open import open_log
from dashflow.testing.log_case import new_events
from tests.postgres import Place

pytestmark = [
    pytest.mark.feature("LOG-03"),
    pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals"),
]

CONSUMER = """
import sys
from dashflow.log.groups import ConsumerGroup
from dashflow.log.open import open_log

where, mode = sys.argv[1:]
log = open_log(where)
group = ConsumerGroup(log, "billing", category="run", visibility=600)
with group.consumer(prefetch=20) as consumer:
    for message in consumer:
        name = f"{message.record.stream} {message.record.version} {message.attempt}"
        print("begins", name, flush=True)
        sys.stdin.readline()
        message.ack()
        print("done", name, flush=True)
        if mode == "flush":
            consumer.flush()
log.close()
"""


Child = subprocess.Popen[str]


@pytest.fixture
def start(where: str) -> Iterator[Callable[[str], Child]]:
    """Starts consumers, and sees to it that none outlives the test."""
    children: list[Child] = []

    def starting(mode: str) -> Child:
        command = [sys.executable, "-c", CONSUMER, where, mode]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        children.append(child)
        return child

    yield starting
    for child in children:
        child.kill()
        child.communicate()


def said(child: Child) -> list[str]:
    assert child.stdout is not None
    return child.stdout.readline().split()


def go_on(child: Child) -> None:
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()


def fill(where: str, streams: int, count: int) -> int:
    log = open_log(where)
    for number in range(streams):
        log.append(Append(f"run-{number}", new_events(count)))
    log.close()
    return streams * count


def kill(child: Child, place: Place | None) -> None:
    child.kill()
    child.communicate()
    if place is not None:
        place.end_lease(child.pid)


def the_rest(where: str) -> Counter[tuple[str, int]]:
    """Handle what is left, here; what was handled. No claim has run out: it is known who is dead."""
    log = open_log(where)
    seen: Counter[tuple[str, int]] = Counter()
    group = ConsumerGroup(log, "billing", category="run", visibility=600)
    with group.consumer() as consumer:
        while True:
            while (message := consumer.take(0)) is not None:
                seen[message.record.stream, message.record.version] += 1
                message.ack()
            status = group.status()
            if not (status.claimed or status.waiting):
                break
    log.close()
    return seen


def rounds(where: str, place: Place | None, start: Callable[[str], Child], kills: int) -> None:
    chance = random.Random(20_240_117)
    total = fill(where, 20, 10 * kills)
    done: Counter[tuple[str, int]] = Counter()
    for number in range(kills):
        victim, other = start("flush" if number % 2 else "lazy"), start("lazy")
        for child in (victim, other):
            for _ in range(chance.randrange(40)):
                assert said(child)[0] == "begins"
                go_on(child)
                what, stream, version, _ = said(child)
                assert what == "done"
                done[stream, int(version)] += 1
            assert said(child)[0] == "begins"
            kill(child, place)  # in the middle of a message
    rest = the_rest(where)
    everything = {name for name, times in (done + rest).items() if times}
    assert len(everything) == total
    log = open_log(where)
    status = ConsumerGroup(log, "billing", category="run").status()
    assert (status.acknowledged, status.waiting, status.claimed, status.dead) == (total, 0, 0, 0)
    log.close()


@pytest.mark.guarantee("groups")
def test_consumers_are_killed_in_the_middle_of_messages(
    where: str, place: Place | None, start: Callable[[str], Child]
) -> None:
    rounds(where, place, start, 3)


@pytest.mark.soak
def test_consumers_are_killed_50_times(
    where: str, place: Place | None, start: Callable[[str], Child]
) -> None:
    rounds(where, place, start, 50)


@pytest.mark.guarantee("groups")
def test_a_message_that_kills_its_consumers_ends_as_the_only_dead_letter(
    where: str, place: Place | None, start: Callable[[str], Child]
) -> None:
    fill(where, 6, 1)
    # The first time it was one of several, and nobody knew which of them had done it.
    for _ in range(1 + 5):
        child = start("lazy")
        while said(child)[1] != "run-3":
            go_on(child)
            assert said(child)[0] == "done"
        kill(child, place)
    the_rest(where)
    log = open_log(where)
    group = ConsumerGroup(log, "billing", category="run")
    assert [(letter.key, letter.attempts) for letter in group.dead_letters()] == [("run-3", 5)]
    assert group.status().acknowledged == 5
    log.close()
