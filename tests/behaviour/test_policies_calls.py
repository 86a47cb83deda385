"""Policies of called functions: retried, limited in time and number, as nodes are."""

import asyncio
import threading

import pytest

from dashflow.config import get_config
from dashflow.errors import NodeTimeoutError
from dashflow.func import entrypoint, task
from dashflow.runtime import get_runtime
from dashflow.types import RetryPolicy

AT_ONCE = RetryPolicy(max_attempts=3, initial_interval=0, jitter=False)


@pytest.mark.feature("RUN-05")
def test_a_called_function_is_retried_and_learns_which_attempt_it_is() -> None:
    attempts = []

    @task(retry_policy=AT_ONCE)
    def shaky(value):
        attempts.append(get_runtime().execution_info.node_attempt)
        if len(attempts) < 3:
            raise ConnectionError
        return value

    @entrypoint()
    def flow(value):
        return shaky(value).result()

    assert flow.invoke(7) == 7
    assert attempts == [1, 2, 3]


@pytest.mark.feature("RUN-05")
def test_a_flow_that_is_retried_calls_again() -> None:
    called, tried = [], []

    @task
    def double(value):
        called.append(value)
        return value * 2

    @entrypoint(retry_policy=AT_ONCE)
    def flow(value):
        result = double(value).result()
        tried.append(result)
        if len(tried) < 3:
            raise ConnectionError
        return result

    assert flow.invoke(7) == 14
    assert called == [7, 7, 7]


@pytest.mark.feature("RUN-08")
async def test_a_call_is_a_sign_of_progress_and_refused_when_the_time_is_over() -> None:
    called, late = [], asyncio.Event()

    @task
    async def child():
        called.append(1)

    @entrypoint(timeout=0.05)
    async def flow(given):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            try:
                child()
            finally:
                late.set()

    with pytest.raises(NodeTimeoutError):
        await flow.ainvoke(1)
    await late.wait()
    assert not called


class Counter:
    """How many are in at a time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.now = self.most = 0

    def __enter__(self):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *error):
        with self.lock:
            self.now -= 1


@pytest.mark.feature("RUN-11")
def test_no_more_functions_than_allowed_run_at_a_time_on_threads() -> None:
    inside, both = Counter(), threading.Barrier(2, timeout=30)

    @task
    def inner(number):
        return number

    @task
    def outer(number):
        with inside:
            both.wait()  # two at a time there are
            return inner(number).result() + 1

    @entrypoint()
    def flow(numbers):
        return [called.result() for called in [outer(number) for number in numbers]]

    assert flow.invoke(list(range(8)), {"max_concurrency": 2}) == list(range(1, 9))
    assert inside.most == 2


@pytest.mark.feature("RUN-11")
async def test_no_more_functions_than_allowed_run_at_a_time_on_the_loop() -> None:
    inside = Counter()

    @task
    async def work(number):
        with inside:
            for _ in range(3):
                await asyncio.sleep(0)
            return number, get_config()["metadata"]["langgraph_node"]

    @entrypoint()
    async def flow(numbers):
        return await asyncio.gather(*(work(number) for number in numbers))

    result = await flow.ainvoke(list(range(20)), {"max_concurrency": 3})
    assert [tuple(pair) for pair in result] == [(number, "work") for number in range(20)]
    assert inside.most == 3


@pytest.mark.feature("RUN-08")
async def test_what_an_attempt_started_is_given_up_with_it() -> None:
    """The first attempt fails while its call and a graph in that call are at work: neither goes on."""
    reached, seen, go_on = asyncio.Event(), [], asyncio.Event()

    @task
    async def inner(value):
        seen.append(f"inner {value}")
        reached.set()
        await go_on.wait()
        seen.append(f"after {value}")

    @task
    async def outer(value):
        await inner(value)
        seen.append(f"outer {value}")

    attempts = []

    @entrypoint(retry_policy=AT_ONCE)
    async def flow(value):
        attempts.append(value)
        if len(attempts) == 1:
            outer("first")
            await reached.wait()
            raise ConnectionError
        go_on.set()
        await outer("second")
        return value

    assert await flow.ainvoke(7) == 7
    assert seen == ["inner first", "inner second", "after second", "outer second"]
