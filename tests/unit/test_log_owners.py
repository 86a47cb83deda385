"""Who counts as alive: lock files, leases by a clock that the test moves, heartbeats."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dashflow.errors import FencedError, OwnershipConflictError
from dashflow.log.base import Append, Appended
from dashflow.log.sqlite import SqliteLog, owners
from dashflow.log.sqlite.clock import since_boot
from dashflow.log.sqlite.owners import Owners
from dashflow.testing.log_case import in_threads, new_events

pytestmark = pytest.mark.feature("PERSIST-000")

Open = Callable[..., SqliteLog]


class Clock:
    """Nanoseconds, moved by hand."""

    def __init__(self) -> None:
        self.now = since_boot()

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
def opened(path: Path) -> Iterator[Open]:
    logs: list[SqliteLog] = []

    def opening(**options: object) -> SqliteLog:
        logs.append(SqliteLog(path, **options))  # type: ignore[arg-type]
        return logs[-1]

    yield opening
    for log in logs:
        log.close()


def claim(log: SqliteLog, stream: str = "run-1") -> Appended:
    return log.append(Append(stream, new_events(1), owner=log.instance + "/r", claim=True))


def dies(log: SqliteLog) -> None:
    """What the kernel does when a process is killed: the lock goes, the file stays."""
    log._owners.forget()


def test_a_dead_owner_is_replaced_long_before_its_lease_ends(opened: Open, path: Path) -> None:
    first, second = opened(lease_seconds=10_000), opened()
    epoch = claim(first).epoch
    with pytest.raises(OwnershipConflictError):
        claim(second)
    assert second.streams()[0].owner == first.instance + "/r"
    dies(first)
    assert second.streams()[0].owner == ""
    assert claim(second).epoch == epoch + 1
    with pytest.raises(FencedError):
        first.append(Append("run-1", new_events(1), owner=first.instance + "/r", epoch=epoch))


def test_the_streams_of_the_dead_and_the_late_are_abandoned(opened: Open) -> None:
    late = Clock()
    dead, hanging, second = opened(lease_seconds=10_000), opened(lease_seconds=60), opened(clock=late)
    claim(dead, "run-dead")
    claim(hanging, "run-hanging")
    assert second.abandoned() == []
    dies(dead)
    assert [(info.stream, info.owner) for info in second.abandoned()] == [("run-dead", dead.instance + "/r")]
    late.now += 61 * 10**9
    assert [info.stream for info in second.abandoned()] == ["run-dead", "run-hanging"]
    # Nobody takes itself for dead.
    assert [info.stream for info in hanging.abandoned()] == ["run-dead"]


def test_a_living_owner_past_its_lease_is_replaced_and_fenced(opened: Open) -> None:
    late = Clock()
    first, second = opened(lease_seconds=60), opened(clock=late)
    epoch = claim(first).epoch
    with pytest.raises(OwnershipConflictError):
        claim(second)
    late.now += 61 * 10**9
    assert second.streams()[0].owner == ""
    assert claim(second).epoch == epoch + 1
    with pytest.raises(FencedError) as caught:
        first.append(Append("run-1", new_events(1), owner=first.instance + "/r", epoch=epoch))
    assert caught.value.data == {"stream": "run-1", "epoch": epoch, "current": epoch + 1}


def test_an_owner_past_its_lease_that_nobody_replaced_goes_on(opened: Open) -> None:
    clock = Clock()
    log = opened(clock=clock)
    epoch = claim(log).epoch
    clock.now += 10**12
    assert log.append(Append("run-1", new_events(1), owner=log.instance + "/r", epoch=epoch)).version == 2


def test_an_append_of_the_owner_moves_its_lease(opened: Open) -> None:
    clock = Clock()
    first, second = opened(clock=clock, lease_seconds=10), opened(clock=clock)
    epoch = claim(first).epoch
    clock.now += 9 * 10**9
    first.append(Append("run-1", new_events(1), owner=first.instance + "/r", epoch=epoch))
    clock.now += 9 * 10**9
    with pytest.raises(OwnershipConflictError):
        claim(second)


def lease_of(path: Path, stream: str) -> int:
    connection = sqlite3.connect(path)
    (lease,) = connection.execute("SELECT lease FROM streams WHERE name = ?", (stream,)).fetchone()
    connection.close()
    return int(lease)


def test_the_heartbeat_moves_the_leases_of_all_claims(opened: Open, path: Path) -> None:
    clock = Clock()
    log = opened(clock=clock, lease_seconds=0.03)
    for stream in ("run-1", "run-2"):
        claim(log, stream)
    clock.now += 10**12
    while min(lease_of(path, stream) for stream in ("run-1", "run-2")) <= clock.now:
        pass
    # What was given up is not kept alive.
    log.append(Append("run-1", owner=log.instance + "/r", epoch=1, release=True))
    given_up = lease_of(path, "run-1")
    clock.now += 10**12
    while lease_of(path, "run-2") <= clock.now:
        pass
    assert lease_of(path, "run-1") == given_up


def test_the_heartbeat_does_not_bring_back_what_was_lost(opened: Open, path: Path) -> None:
    late = Clock()
    late.now += 10**12
    first, second = opened(lease_seconds=0.03), opened(clock=late, lease_seconds=10_000)
    claim(first, "run-1")
    claim(second, "run-1")
    claim(first, "run-2")
    lease, other = lease_of(path, "run-1"), lease_of(path, "run-2")
    while lease_of(path, "run-2") == other:
        pass
    assert lease_of(path, "run-1") == lease
    first.close()
    assert second.streams()[-1].owner == second.instance + "/r"


def test_lock_files_of_the_dead_are_swept_away_and_those_of_the_living_stay(opened: Open, path: Path) -> None:
    log = opened()
    claim(log)
    folder = path.with_name("log.db.owners")
    for name in ("host-1-aa", "host-2-bb"):
        (folder / name).touch()
    opened()
    assert os.listdir(folder) == [log.instance]
    log.close()
    assert not folder.exists()


def test_an_owner_whose_lock_file_is_gone_is_dead(opened: Open, path: Path) -> None:
    first, second = opened(lease_seconds=10_000), opened()
    claim(first)
    (path.with_name("log.db.owners") / first.instance).unlink()
    assert claim(second).epoch == 2


def test_claims_while_others_open_and_close(opened: Open, path: Path) -> None:
    def comes_and_goes() -> None:
        for _ in range(20):
            log = SqliteLog(path)
            claim(log, "run-" + log.instance)
            assert (path.with_name("log.db.owners") / log.instance).exists()
            log.close()

    in_threads([comes_and_goes] * 4)


def test_without_locks_only_the_lease_counts(
    opened: Open, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owners, "fcntl", None)  # as on Windows
    clock = Clock()
    first, second = opened(clock=clock, lease_seconds=10), opened(clock=clock)
    claim(first)
    assert not path.with_name("log.db.owners").exists()
    with pytest.raises(OwnershipConflictError):
        claim(second)
    clock.now += 11 * 10**9
    assert claim(second).epoch == 2


def test_an_owner_without_a_lock_is_believed_by_those_who_have_locks(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(owners, "fcntl", None)
        first = opened(lease_seconds=100)
    claim(first)
    with pytest.raises(OwnershipConflictError):
        claim(opened())


def test_the_instance_can_be_part_of_a_file_name_and_has_the_process(path: Path) -> None:
    instance = Owners(path, since_boot).instance
    assert str(os.getpid()) in instance.split("-")
    assert "/" not in instance
    assert instance != Owners(path, since_boot).instance
