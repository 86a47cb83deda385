"""Inputs of several processes for one thread, some of which are killed: what was accepted runs, once."""

import json
import signal
import subprocess

import pytest

from tests.crash.workplace import Folder, go

pytestmark = pytest.mark.feature("NEW-08", "NEW-01")


def held(folder: Folder, number: int, **options) -> subprocess.Popen[str]:
    """A process whose run is held up in its node."""
    (folder.path / f"hold {number}").touch()
    process = folder.call("holding", {"n": number}, **options)
    folder.wait_for(str(number))
    return process


def let_go(folder: Folder, number: int) -> None:
    (folder.path / f"hold {number}").unlink()


def said(process: subprocess.Popen[str]) -> list[str]:
    """What a process printed."""
    return process.communicate()[0].splitlines()


@pytest.mark.guarantee("no-input-lost")
def test_inputs_of_many_processes_at_once(folder, soak) -> None:
    """All are handled, none twice, and each caller gets the result of its own."""
    processes, each = (16, 60) if soak else (2, 25)
    inputs = [[{"n": 100 * p + k} for k in range(each)] for p in range(processes)]
    callers = [folder.call("holding", given) for given in inputs]
    go(*callers)
    for given, caller in zip(inputs, callers, strict=True):
        results = [json.loads(line.removeprefix("result ")) for line in said(caller)[-each:]]
        assert [result[-1] for result in results] == [one["n"] for one in given]
    values, status = folder.values()
    assert sorted(values) == sorted(one["n"] for given in inputs for one in given)
    assert status == "finished"
    assert set(folder.effects().values()) == {1}


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.guarantee("no-input-lost")
def test_a_caller_that_is_killed_while_its_input_waits(folder, both) -> None:
    """A worker runs it; and first what the other process left, if that died too."""
    first = held(folder, 1)
    second = folder.call("holding", {"n": 2})
    folder.wait_until_queued(1)
    folder.kill(second)
    if both:
        folder.kill(first)
        let_go(folder, 1)
    else:
        let_go(folder, 1)
        assert said(first)[-1] == "result [1]"
    told = [line["what"] for line in folder.work()]
    assert told == ["taken over", "finished"] * (2 if both else 1)
    assert folder.values() == ([1, 2], "finished")
    assert folder.effects() == {"hold 1": 2 if both else 1, "hold 2": 1}


def test_a_caller_that_sleeps_while_its_turn_comes_is_told(folder) -> None:
    """SIGSTOP past its lease: a worker runs its input, and it does not run it again."""
    first = held(folder, 1)
    second = folder.call("holding", {"n": 2}, lease=0.5)
    folder.wait_until_queued(1)
    second.send_signal(signal.SIGSTOP)
    let_go(folder, 1)
    assert said(first)[-1] == "result [1]"
    worker = folder.worker()
    assert worker.stdout is not None
    assert [json.loads(worker.stdout.readline())["what"] for _ in range(2)] == ["taken over", "finished"]
    second.send_signal(signal.SIGCONT)
    assert said(second)[-1] == "refused FENCED"
    worker.send_signal(signal.SIGTERM)
    worker.communicate()
    assert folder.values() == ([1, 2], "finished")
    assert folder.effects() == {"hold 1": 1, "hold 2": 1}


@pytest.mark.parametrize(("strategy", "left"), [("interrupt", [5, 2]), ("rollback", [5, 2])])
def test_the_present_run_of_another_process_is_stopped(folder, strategy, left) -> None:
    assert said(folder.call("holding", {"n": 5}))[-1] == "result [5]"
    first = held(folder, 1)
    assert said(folder.call("holding", {"n": 2}, strategy=strategy))[-1] == f"result {left}"
    let_go(folder, 1)
    assert said(first)[-1] == "refused SUPERSEDED"
    assert folder.values() == (left, "finished")
    assert folder.work() == []


def test_a_process_that_dies_while_it_takes_the_place_of_a_run(folder) -> None:
    """Its input was accepted; whatever it had come to by then, a worker brings it to its end."""
    first = held(folder, 1)
    (folder.path / "hold 2").touch()
    second = folder.call("holding", {"n": 2}, strategy="interrupt")
    folder.wait_for("2")
    folder.kill(second)
    let_go(folder, 2)
    let_go(folder, 1)
    assert said(first)[-1] == "refused SUPERSEDED"
    assert [line["what"] for line in folder.work()] == ["taken over", "finished"]
    assert folder.values() == ([2], "finished")


def test_a_second_process_that_does_not_want_to_wait_is_refused(folder) -> None:
    first = held(folder, 1)
    assert said(folder.call("holding", {"n": 2}, strategy="reject"))[-1] == "refused OWNED"
    let_go(folder, 1)
    assert said(first)[-1] == "result [1]"
    assert folder.effects() == {"hold 1": 1}
