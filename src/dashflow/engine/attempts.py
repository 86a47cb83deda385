"""Attempt after attempt of a task with policies: bulkhead, circuit breaker, time limits, retries.

In that order from outside to inside, but for retries, which are around all of them: each attempt waits for
room, asks the breaker, and has its own time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol

from dashflow._util.scope import CURRENT
from dashflow.core.plan import NodePolicies
from dashflow.core.superstep import Task
from dashflow.engine.halt import Halt
from dashflow.engine.history import History
from dashflow.engine.ports import Host, Overdue
from dashflow.engine.retry import delay_before, matching_policy
from dashflow.engine.timeout import Watch, timeout_unsupported
from dashflow.errors import CircuitOpenError, GraphBubbleUp
from dashflow.types.policies import TimeoutPolicy

Writes = list[tuple[str, Any]]
Once = Callable[[Any], Awaitable[Writes]]
"""One attempt, without policies, in its scope."""


class Around(Protocol):
    """What an attempt asks of its run (``dashflow.engine.setting.Setting``)."""

    halt: Halt
    lent: History | None


async def attempts(
    host: Host, run: Around, task: Task, policies: NodePolicies, scope: Any, once: Once
) -> Writes:
    """Until one attempt returns, or nothing says to try again."""
    limits = policies.timeout
    if task.packet is not None and task.packet.timeout is not None:
        limits = task.packet.timeout
    if limits is not None and not host.asynchronous:
        raise timeout_unsupported(task.name)
    scope.begun = host.now()
    while True:
        try:
            return await _one(host, run, task, policies, limits, scope, once)
        except GraphBubbleUp:
            raise
        except Exception as error:
            run.halt.check()
            policy = matching_policy(policies.retry, error)
            if policy is None or scope.attempt >= policy.max_attempts:
                raise
            delay = delay_before(policy, scope.attempt, host.jitter)
            if isinstance(error, CircuitOpenError):  # earlier it could not pass
                delay = max(delay, error.retry_after)
        await host.sleep(delay)
        run.halt.check()
        scope = scope.again()  # nothing that the last attempt still does can be taken for this one's
        CURRENT.set(scope)


async def _one(
    host: Host,
    run: Around,
    task: Task,
    policies: NodePolicies,
    limits: TimeoutPolicy | None,
    scope: Any,
    once: Once,
) -> Writes:
    call: Callable[[], Awaitable[Writes]] = partial(once, scope)
    if limits is not None:
        call = partial(_within, host, task, limits, scope, once)
    if policies.breaker is not None:
        from dashflow.engine.circuit import circuit_of

        circuit = circuit_of(run.lent, policies.breaker.name)
        call = partial(circuit.through, host, policies.breaker, call)
    if policies.bulkhead is not None:
        from dashflow.engine.circuit import inside

        call = partial(inside, host, policies.bulkhead, call)
    return await call()


async def _within(host: Host, task: Task, limits: TimeoutPolicy, scope: Any, once: Once) -> Writes:
    watch = scope.watch = Watch(limits, host.elapsed)
    scope._config = scope._runtime = None  # they are others with a limit
    try:
        return await host.limited(partial(once, scope), watch.left)
    except Overdue:
        raise watch.error(task.name) from None
    finally:
        scope.close()
