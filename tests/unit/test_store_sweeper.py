"""Sweepers delete what is over without being asked, until they are stopped or their store is gone."""

import asyncio
import gc
import threading
import weakref

import pytest

from dashflow.store.memory import InMemoryStore
from dashflow.store.sqlite import AsyncSqliteStore, SqliteStore

pytestmark = pytest.mark.feature("PERSIST-000")

SOON = 1e-5


class Told:
    """A store that tells when it was swept of something."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.swept = threading.Event()

    def sweep_ttl(self):
        deleted = super().sweep_ttl()
        if deleted:
            self.swept.set()
        return deleted


class ToldMemory(Told, InMemoryStore):
    pass


class ToldSqlite(Told, SqliteStore):
    pass


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    if request.param == "memory":
        yield ToldMemory(ttl={})
    else:
        with ToldSqlite.from_conn_string(str(tmp_path / "store.db"), ttl={}) as store:
            yield store


def test_what_is_over_is_deleted(store):
    store.put(("n",), "over", {}, ttl=-1)
    store.put(("n",), "kept", {}, ttl=60)
    done = store.start_ttl_sweeper(SOON)
    assert store.swept.wait(60)
    assert [item.key for item in store.search(())] == ["kept"]
    assert store.stop_ttl_sweeper(60)
    assert done.result(60) is None
    assert store.stop_ttl_sweeper()


def test_a_started_sweeper_is_not_started_twice_and_can_be_cancelled(store):
    before = threading.active_count()
    store.start_ttl_sweeper(60)
    again = store.start_ttl_sweeper(60)
    assert threading.active_count() == before + 1
    assert again.cancel()
    assert store.stop_ttl_sweeper(60)
    assert threading.active_count() == before


def test_everybody_who_starts_a_sweeper_hears_that_it_has_stopped(store):
    first, second = store.start_ttl_sweeper(60), store.start_ttl_sweeper(60)
    assert store.stop_ttl_sweeper(60)
    assert (first.result(60), second.result(60)) == (None, None)


def test_it_can_be_started_again_while_a_cancelled_one_still_sweeps():
    entered, go_on = threading.Event(), threading.Event()

    class Slow(ToldMemory):
        def sweep_ttl(self):
            entered.set()
            assert go_on.wait(60)
            return super().sweep_ttl()

    store = Slow(ttl={})
    cancelled = store.start_ttl_sweeper(SOON)
    assert entered.wait(60)
    assert cancelled.cancel()
    again = store.start_ttl_sweeper(SOON)
    assert not again.done()
    go_on.set()
    store.put(("n",), "over", {}, ttl=-1)
    assert store.swept.wait(60)
    assert store.stop_ttl_sweeper(60)
    assert again.result(60) is None


def test_it_can_be_started_again(store):
    store.start_ttl_sweeper(60)
    assert store.stop_ttl_sweeper()
    store.put(("n",), "over", {}, ttl=-1)
    store.start_ttl_sweeper(SOON)
    assert store.swept.wait(60)
    assert store.stop_ttl_sweeper()


def test_without_a_ttl_there_is_nothing_to_sweep(tmp_path):
    assert InMemoryStore().start_ttl_sweeper().done()
    with SqliteStore.from_conn_string(":memory:") as store:
        assert store.start_ttl_sweeper().done()


def test_a_sweeper_keeps_no_store_alive():
    store = InMemoryStore(ttl={})
    done = store.start_ttl_sweeper(SOON)
    gone = weakref.ref(store)
    del store
    assert done.result(60) is None
    gc.collect()
    assert gone() is None


def test_a_sweep_that_fails_is_told_and_the_next_is_made(caplog):
    class Failing(ToldMemory):
        failed = False

        def sweep_ttl(self):
            if not self.failed:
                self.failed = True
                raise RuntimeError("disk on fire")
            return super().sweep_ttl()

    store = Failing(ttl={})
    store.put(("n",), "over", {}, ttl=-1)
    store.start_ttl_sweeper(SOON)
    assert store.swept.wait(60)
    store.stop_ttl_sweeper()
    assert "disk on fire" in caplog.text


async def test_a_task_sweeps_an_async_store(tmp_path):
    class ToldAsync(AsyncSqliteStore):
        swept = None

        async def sweep_ttl(self):
            deleted = await super().sweep_ttl()
            if deleted:
                self.swept.set()
            return deleted

    async with ToldAsync.from_conn_string(str(tmp_path / "store.db"), ttl={"default_ttl": 60}) as store:
        store.swept = asyncio.Event()
        await store.aput(("n",), "over", {}, ttl=-1)
        await store.aput(("n",), "kept", {})
        task = await store.start_ttl_sweeper(SOON)
        assert await store.start_ttl_sweeper(SOON) is task
        await asyncio.wait_for(store.swept.wait(), 60)
        assert [item.key for item in await store.asearch(())] == ["kept"]
        assert await store.stop_ttl_sweeper(60)
        assert task.done()
        assert await store.stop_ttl_sweeper()
        await store.start_ttl_sweeper(60)
