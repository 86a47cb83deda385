"""The queue of commits by itself: who leads, what a failure takes with it, what an interruption leaves.

``commit`` is given here: it numbers the appends that it is handed, or does what the test wants.
"""

import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from dashflow.errors import StorageUnavailableError, VersionConflictError
from dashflow.log.base import Append, Appended
from dashflow.log.commits import CommitQueue, Pending

pytestmark = pytest.mark.feature("LOG-01")


class Store:
    """Commits groups into a list; the test may hold it up or make it fail."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.entered = threading.Semaphore(0)
        self.go_on: threading.Semaphore | None = None
        self.fail: list[BaseException] = []
        self.beats = 0
        self.last = 0

    def commit(self, group: list[Pending]) -> None:
        if self.go_on is not None:
            self.entered.release()
            assert self.go_on.acquire(timeout=60)
        if self.fail:
            raise self.fail.pop()
        self.groups.append([pending.append.stream for pending in group])
        for pending in group:
            self.last += 1
            pending.result = Appended(self.last, self.last)

    def beat(self) -> bool:
        self.beats += 1
        return self.beats < 3


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def queue(store: Store) -> Iterator[CommitQueue]:
    queue = CommitQueue(store.commit, committed=lambda: None, beat=store.beat, beat_seconds=0.001)
    yield queue
    queue.close(lambda: None)


def test_who_appends_alone_commits_in_its_own_thread(queue: CommitQueue, store: Store) -> None:
    before = threading.active_count()
    assert queue.append(Append("a"), None).version == 1
    assert threading.active_count() == before


def test_who_comes_during_a_commit_shares_the_next_one(queue: CommitQueue, store: Store) -> None:
    store.go_on = threading.Semaphore(0)
    threads = [threading.Thread(target=queue.append, args=(Append(name), None)) for name in "abc"]
    threads[0].start()
    assert store.entered.acquire(timeout=60)
    for thread in threads[1:]:
        thread.start()
    while sum(bool(pending.gates) for pending in queue._queued.copy()) < 2:
        pass
    store.go_on.release(2)
    for thread in threads:
        thread.join()
    assert [sorted(group) for group in store.groups] == [["a"], ["b", "c"]]


def test_a_failed_group_takes_along_what_was_queued(queue: CommitQueue, store: Store) -> None:
    store.go_on = threading.Semaphore(0)
    store.fail.append(StorageUnavailableError("here", "the disk is full"))
    first = queue.submit(Append("a"), None)
    assert store.entered.acquire(timeout=60)
    second = queue.submit(Append("b"), None)
    store.go_on.release()
    errors = []
    for pending in (first, second):
        with pytest.raises(StorageUnavailableError, match="disk is full") as caught:
            pending.wait()
        errors.append(caught.value)
    assert errors[0] is not errors[1]
    assert errors[0].data == errors[1].data
    store.go_on = None
    assert queue.append(Append("c"), None).version == 1


def test_an_unexpected_error_reaches_its_appends_and_the_queue_goes_on(
    queue: CommitQueue, store: Store
) -> None:
    store.fail.append(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        queue.append(Append("a"), None)
    assert queue.append(Append("b"), None).version == 1


def test_an_interrupted_commit_is_made_by_the_next_one(queue: CommitQueue, store: Store) -> None:
    store.fail.append(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        queue.append(Append("a"), None)
    assert queue.append(Append("b"), None).version == 2
    assert [name for group in store.groups for name in group] == ["a", "b"]


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs POSIX signals")
def test_an_interrupted_wait_does_not_keep_the_lead(queue: CommitQueue, store: Store) -> None:
    store.go_on = threading.Semaphore(0)
    leader = threading.Thread(target=queue.append, args=(Append("a"), None))
    leader.start()
    assert store.entered.acquire(timeout=60)
    waiting = queue.submit(Append("b"), None)
    main = threading.main_thread().ident
    assert main is not None
    interrupted = threading.Event()

    def once(*_: object) -> None:
        if not interrupted.is_set():
            interrupted.set()
            raise KeyboardInterrupt

    def interrupt() -> None:
        while not waiting.gates:
            pass
        # Again and again: a signal that comes just before a thread blocks does not wake it.
        while not interrupted.wait(0.01):
            signal.pthread_kill(main, signal.SIGINT)

    before = signal.signal(signal.SIGINT, once)
    helper = threading.Thread(target=interrupt)
    helper.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            waiting.wait()
        helper.join()
    finally:
        signal.signal(signal.SIGINT, before)
    store.go_on.release(2)
    leader.join()
    assert waiting.wait().version == 2
    store.go_on = None
    assert queue.append(Append("c"), None).version == 3


def test_many_threads_wait_for_one_ticket(queue: CommitQueue, store: Store) -> None:
    store.go_on = threading.Semaphore(0)
    ticket = queue.submit(Append("a"), None)
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(ticket.wait().version)) for _ in range(4)]
    for thread in threads:
        thread.start()
    store.go_on.release()
    for thread in threads:
        thread.join()
    assert found == [1] * 4


def test_callbacks_are_called_once_and_their_errors_harm_nobody(
    queue: CommitQueue, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    done = threading.Event()
    ticket = queue.submit(Append("a"), None)

    def fails() -> None:
        raise ValueError("mine")

    callbacks: list[Callable[[], None]] = [fails, done.set]
    store.go_on = threading.Semaphore(0)
    blocked = queue.submit(Append("b"), None)
    for callback in callbacks:
        blocked.on_done(callback)
    store.go_on.release(2)
    assert done.wait(60)
    assert ticket.done
    assert "mine" in caplog.text
    assert queue.submit(Append("c"), None).append.stream == "c"
    store.go_on.release(9)


def test_the_heart_beats_until_there_is_nothing_left(queue: CommitQueue, store: Store) -> None:
    queue.keep_beating()
    while store.beats < 3:
        pass
    queue.append(Append("a"), None)
    assert store.beats == 3


def test_refusals_are_raised_in_every_waiter(queue: CommitQueue, store: Store) -> None:
    refusal = VersionConflictError("a", 1, 2)

    def refuse(group: list[Pending]) -> None:
        for pending in group:
            pending.error = refusal

    queue._commit = refuse
    ticket = queue.submit(Append("a"), None)
    for _ in range(2):
        with pytest.raises(VersionConflictError):
            ticket.wait()
