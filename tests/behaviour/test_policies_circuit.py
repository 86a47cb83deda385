"""Circuit breakers and bulkheads of nodes and called functions."""

import asyncio
import subprocess
import sys
import threading
from pathlib import Path
from typing import TypedDict

import pytest

from dashflow.checkpoint.memory import InMemorySaver
from dashflow.checkpoint.sqlite import SqliteSaver
from dashflow.errors import BulkheadFullError, CircuitOpenError, UsageError
from dashflow.func import entrypoint, task
from dashflow.graph import START, StateGraph
from dashflow.hosts.simulated import SimulatedHost
from dashflow.types import Bulkhead, CircuitBreaker, RetryPolicy, interrupt

pytestmark = pytest.mark.feature("RES-01")


class State(TypedDict):
    n: int


def thread(name):
    return {"configurable": {"thread_id": name}}


def graph_of(node, saver=None, **policies):
    graph = StateGraph(State)
    graph.add_node("node", node, **policies)
    graph.add_edge(START, "node")
    return graph.compile(checkpointer=saver)


class Service:
    """Something that is out of order until it is mended."""

    def __init__(self):
        self.calls = 0
        self.broken = True

    def __call__(self, state: State):
        self.calls += 1
        if self.broken:
            raise ConnectionError("no answer")
        return {"n": 1}


def fail(graph, times, begin=0):
    for number in range(begin, begin + times):
        with pytest.raises(ConnectionError):
            graph.invoke({"n": 0}, thread(f"t{number}"))


BREAKER = CircuitBreaker(name="service", failures=3, window=100, open_for=30, probe_for=60)


def test_what_fails_again_and_again_is_left_alone_and_tried_again():
    host, service, saver = SimulatedHost(), Service(), InMemorySaver()
    graph = graph_of(service, saver, circuit_breaker=BREAKER).with_host(host)
    fail(graph, 3)
    with pytest.raises(CircuitOpenError, match="'service'") as caught:
        graph.invoke({"n": 0}, thread("a"))
    assert service.calls == 3
    assert 29 < caught.value.retry_after <= 30
    assert caught.value.retry_at == pytest.approx(host.now() / 1e9 + caught.value.retry_after, abs=1)
    host._clock += 31_000_000_000
    fail(graph, 1, 50)  # a probe
    with pytest.raises(CircuitOpenError):
        graph.invoke({"n": 0}, thread("b"))
    service.broken = False
    host._clock += 31_000_000_000
    assert graph.invoke({"n": 0}, thread("c")) == {"n": 1}
    assert graph.invoke({"n": 0}, thread("d")) == {"n": 1}
    assert service.calls == 6
    assert [r.type for r in saver.log.read("breaker-service")] == [
        "CircuitOpened",
        "ProbeStarted",
        "CircuitOpened",
        "ProbeStarted",
        "CircuitClosed",
    ]


def test_old_failures_do_not_count():
    host, service = SimulatedHost(), Service()
    graph = graph_of(service, InMemorySaver(), circuit_breaker=BREAKER).with_host(host)
    fail(graph, 2)
    host._clock += 101_000_000_000
    fail(graph, 2, 10)
    fail(graph, 1, 20)
    with pytest.raises(CircuitOpenError):
        graph.invoke({"n": 0}, thread("a"))


def test_only_what_counts_opens_it():
    service = Service()
    policy = CircuitBreaker(name="counted", failures=1, counts=TimeoutError)
    fail(graph_of(service, InMemorySaver(), circuit_breaker=policy), 4)
    with pytest.raises(UsageError, match="greater than 0"):
        CircuitBreaker(name="x", failures=0)
    with pytest.raises(UsageError, match="needs a name"):
        CircuitBreaker(name="")


def test_a_question_is_no_failure():
    policy = CircuitBreaker(name="asking", failures=1)
    graph = graph_of(lambda state: {"n": interrupt("?")}, InMemorySaver(), circuit_breaker=policy)
    for number in range(3):
        assert "__interrupt__" in graph.invoke({"n": 0}, thread(f"t{number}"))


@pytest.mark.guarantee("circuit-shared")
def test_an_open_circuit_is_open_after_a_restart(tmp_path):
    path, service = str(tmp_path / "log.db"), Service()
    with SqliteSaver.from_conn_string(path) as saver:
        fail(graph_of(service, saver, circuit_breaker=BREAKER), 3)
    with SqliteSaver.from_conn_string(path) as saver, pytest.raises(CircuitOpenError):
        graph_of(service, saver, circuit_breaker=BREAKER).invoke({"n": 0}, thread("a"))


def test_another_process_sees_it_too(tmp_path):
    path = str(tmp_path / "log.db")
    program = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from tests.behaviour.test_policies_circuit import *\n"
        "with SqliteSaver.from_conn_string(sys.argv[1]) as saver:\n"
        "    graph = graph_of(Service(), saver, circuit_breaker=BREAKER)\n"
        "    fail(graph, 3)\n"
    )
    root = str(Path(__file__).parents[2])
    with SqliteSaver.from_conn_string(path) as saver:
        graph = graph_of(Service(), saver, circuit_breaker=BREAKER)
        fail(graph, 1, 100)  # it is closed here
        subprocess.run([sys.executable, "-c", program, path, root], check=True)
        with pytest.raises(CircuitOpenError):
            graph.invoke({"n": 0}, thread("a"))


@pytest.mark.guarantee("circuit-shared")
def test_one_probe_at_a_time_for_two_that_share_a_log():
    host, service = SimulatedHost(), Service()
    saver = InMemorySaver()
    inside = []

    def probing(state: State):
        with pytest.raises(CircuitOpenError) as caught:  # another one, while this one is a probe
            other.invoke({"n": 0}, thread("inner"))
        inside.append(caught.value.retry_after)
        return {"n": 1}

    fail(graph_of(service, saver, circuit_breaker=BREAKER).with_host(host), 3)
    host._clock += 31_000_000_000
    other = graph_of(service, saver, circuit_breaker=BREAKER).with_host(host)
    prober = graph_of(probing, saver, circuit_breaker=BREAKER).with_host(host)
    assert prober.invoke({"n": 0}, thread("outer")) == {"n": 1}
    assert service.calls == 3
    assert 59 < inside[0] <= 60


def test_retries_do_not_meet_an_open_circuit_unless_they_say_so():
    host, service = SimulatedHost(), Service()
    retry = RetryPolicy(initial_interval=1, jitter=False, max_attempts=10)
    graph = graph_of(service, InMemorySaver(), circuit_breaker=BREAKER, retry_policy=retry).with_host(host)
    with pytest.raises(CircuitOpenError):
        graph.invoke({"n": 0}, thread("a"))
    assert service.calls == 3

    patient = retry._replace(retry_on=(ConnectionError, CircuitOpenError))
    graph = graph_of(service, InMemorySaver(), circuit_breaker=BREAKER, retry_policy=patient).with_host(host)
    service.calls = 0

    def mended(state: State):
        service.broken = service.calls < 4
        return service(state)

    graph = graph_of(mended, InMemorySaver(), circuit_breaker=BREAKER, retry_policy=patient).with_host(host)
    begun = host.now()
    assert graph.invoke({"n": 0}, thread("a")) == {"n": 1}
    assert service.calls == 5
    assert host.now() - begun > 60_000_000_000  # it waited for the circuit twice


def test_without_a_log_it_holds_in_this_process():
    service = Service()
    policy = CircuitBreaker(name="kept nowhere", failures=2)
    graph = graph_of(service, circuit_breaker=policy)
    fail(graph, 2)
    with pytest.raises(CircuitOpenError):
        graph.invoke({"n": 0})


def test_called_functions_have_them_too():
    calls = []

    @task(circuit_breaker=CircuitBreaker(name="called", failures=1), bulkhead=Bulkhead(name="c", limit=1))
    def fragile():
        calls.append(1)
        raise ConnectionError("no answer")

    @entrypoint(checkpointer=InMemorySaver())
    def flow(given):
        errors = []
        for _ in range(2):
            try:
                fragile().result()
            except Exception as error:
                errors.append(type(error).__name__)
        return errors

    assert flow.invoke(1, thread("a")) == ["ConnectionError", "CircuitOpenError"]
    assert calls == [1]


def test_a_bulkhead_limits_all_runs_of_a_process():
    lock, now, most = threading.Lock(), [0], [0]

    def node(state: State):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        threading.Event().wait(0.01)
        with lock:
            now[0] -= 1
        return {"n": 1}

    async def node_async(state: State):
        now[0] += 1
        most[0] = max(most[0], now[0])
        await asyncio.sleep(0.01)
        now[0] -= 1
        return {"n": 1}

    wall = Bulkhead(name="narrow", limit=2)
    graph, agraph = graph_of(node, bulkhead=wall), graph_of(node_async, bulkhead=wall)

    async def many():
        return await asyncio.gather(*(agraph.ainvoke({"n": 0}) for _ in range(6)))

    threads = [threading.Thread(target=graph.invoke, args=({"n": 0},)) for _ in range(6)]
    for one in threads:
        one.start()
    assert asyncio.run(many()) == [{"n": 1}] * 6
    for one in threads:
        one.join()
    assert most[0] == 2


def test_who_finds_the_queue_full_fails_at_once():
    async def scenario():
        begun, go = asyncio.Event(), asyncio.Event()

        async def node(state: State):
            begun.set()
            await go.wait()
            return {"n": 1}

        graph = graph_of(node, bulkhead=Bulkhead(name="full", limit=1, queue=1))
        first = asyncio.create_task(graph.ainvoke({"n": 0}))
        await begun.wait()
        waits = asyncio.create_task(graph.ainvoke({"n": 0}))
        gives_up = asyncio.create_task(graph.ainvoke({"n": 0}))
        with pytest.raises(BulkheadFullError, match="'full'"):
            await gives_up
        waits.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits
        next_one = asyncio.create_task(graph.ainvoke({"n": 0}))
        go.set()
        assert await first == await next_one == {"n": 1}

    asyncio.run(scenario())
    with pytest.raises(UsageError, match="limit from 1"):
        Bulkhead(name="x", limit=0)
