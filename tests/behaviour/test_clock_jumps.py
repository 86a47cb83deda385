"""The wall clock jumps by an hour, forth or back: leases and timers fire neither early nor late nor twice."""

import time

import pytest

from dashflow.checkpoint.saver import LogSaver
from dashflow.errors import OwnershipConflictError
from dashflow.graph import START, StateGraph
from dashflow.hosts.sync import SyncHost
from dashflow.log.base import Append
from dashflow.log.open import open_log
from dashflow.testing.chaos import Chaos, Fault
from tests.simulation.cases import expected
from tests.simulation.checks import normal
from tests.simulation.crowds import Room, actor_and_worker
from tests.simulation.programs import Now, State, Watch
from tests.simulation.scripts import SCRIPTS, Session, final, perform
from tests.simulation.world import LEASE, World

pytestmark = [pytest.mark.feature("PERSIST-000", "LOG-01"), pytest.mark.guarantee("clock-jumps")]

HOUR = 3600 * 10**9
JUMPS = pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["an hour forth", "an hour back"])


@pytest.fixture(params=["sqlite", "postgres"])
def where(request, tmp_path):
    """The address of a log that is not there yet."""
    if request.param == "sqlite":
        return str(tmp_path / "log.db")
    return request.getfixturevalue("postgres").log


@pytest.fixture
def wall(monkeypatch):
    """Sets the wall clock."""
    real = time.time_ns

    def set_to(jump: int) -> None:
        monkeypatch.setattr(time, "time_ns", lambda: real() + jump)

    return set_to


@JUMPS
def test_nobody_takes_a_run_from_its_living_owner(where, wall, jump) -> None:
    first, second = open_log(where), open_log(where)
    owner = f"{first.instance}/run"
    claimed = first.append(Append("run-t", owner=owner, claim=True))
    wall(jump)
    with pytest.raises(OwnershipConflictError):
        second.append(Append("run-t", owner=f"{second.instance}/other", claim=True))
    assert second.abandoned(category="run") == []
    # The owner goes on, after the jump as before it.
    first.append(Append("run-t", owner=owner, epoch=claimed.epoch))
    with pytest.raises(OwnershipConflictError):
        second.append(Append("run-t", owner=f"{second.instance}/other", claim=True))
    first.close()
    second.close()


@JUMPS
def test_an_owner_that_hangs_is_not_waited_for_longer(tmp_path, wall, jump) -> None:
    """On a file, where a set-back clock could keep its lease alive; PostgreSQL's leases are by its own
    clock."""
    from dashflow.log.sqlite import SqliteLog

    where = tmp_path / "log.db"
    with Chaos([Fault("heartbeat.before", "error")]):  # it lives, and beats no more
        hanging = SqliteLog(where, lease_seconds=0.05)
        hanging.append(Append("run-t", owner=f"{hanging.instance}/run", claim=True))
        wall(jump)
        second = SqliteLog(where)
        while True:
            try:
                second.append(Append("run-t", owner=f"{second.instance}/other", claim=True))
            except OwnershipConflictError:
                continue
            break
        second.close()
        hanging.close()


def test_times_of_a_run_never_go_back(wall) -> None:
    host = SyncHost()
    before = host.now()
    wall(-HOUR)
    assert host.now() >= before
    wall(HOUR)
    assert host.now() >= before + HOUR // 2


@JUMPS
def test_a_run_goes_through_a_jump(where, wall, jump) -> None:
    log = open_log(where)

    def node(state):
        wall(jump)
        return {"n": state["n"] + 1}

    builder = StateGraph(State).add_node("a", node).add_node("b", node)
    graph = builder.add_edge(START, "a").add_edge("a", "b").compile(checkpointer=LogSaver(log))
    config = {"configurable": {"thread_id": "t"}}
    assert graph.invoke({"n": 1}, config)["n"] == 3
    steps = [state.metadata["step"] for state in graph.get_state_history(config)]
    assert steps == sorted(steps, reverse=True)
    assert graph.invoke({"n": 1}, config)["n"] == 3
    times = [record.at for record in log.read("run-t")]
    assert len(times) == 10
    log.close()


@pytest.mark.parametrize("name", ["loop", "fan-out", "questions", "nested-thread"])
@pytest.mark.parametrize("seed", range(3))
def test_timers_measure_and_do_not_look_at_the_wall_clock(name, seed) -> None:
    def lasted(jumps: float) -> tuple[object, float, int]:
        world = World(seed, jumps=jumps)
        Now.watch, Now.host = Watch(world.durable), lambda: world.current
        program, ops = SCRIPTS[name]
        world.run(caller=lambda caller: perform(Session(world, caller, program), ops))
        return normal(final(world)), world.time, sum(Now.watch.begun.values())

    calm, jumping = lasted(0.0), lasted(0.5)
    assert calm[0] == jumping[0] == expected(name)
    assert calm[2] == jumping[2], "nothing fires twice"
    waits = {"loop": 30.0, "fan-out": 1.0}.get(name, 0.0)
    for _, seconds, _ in (calm, jumping):
        assert waits <= seconds < waits + 5, "timers wait as long as they say"


@pytest.mark.parametrize("seed", range(6))
def test_a_dead_owner_is_followed_after_its_lease_and_not_later(seed) -> None:
    world = World(seed, {9: True}, jumps=0.5)
    Now.watch, Now.host = Watch(world.durable), lambda: world.current
    room = Room(world)
    actor_and_worker(room, "chain")
    assert normal(final(world)) == expected("chain")
    assert world.time < 5 * LEASE
    assert not [task for task, process in Now.watch.repeated if process not in world.zombies]
