"""Cases: a scenario, a seed and where its processes die. Each one repeats to the byte."""

from collections.abc import Iterator, Sequence
from random import Random

import msgspec

from dashflow.hosts.simulated import SimulatedCrash
from tests.simulation import checks, crowds
from tests.simulation.checks import Violation
from tests.simulation.flows import FLOWS
from tests.simulation.programs import Now, Watch
from tests.simulation.scripts import SCRIPTS, Op, Session, final, perform
from tests.simulation.world import World

SCENARIOS = (*SCRIPTS, *FLOWS, *crowds.CROWDS)


class Case(msgspec.Struct, frozen=True):
    """One case.

    Attributes:
        scenario: Its name.
        seed: Decides everything else.
        crashes: Numbers of the port calls at which the process that makes them dies; negative: after it
            took effect.
    """

    scenario: str
    seed: int
    crashes: tuple[int, ...] = ()

    @property
    def command(self) -> str:
        """What repeats it."""
        at = f" --at={','.join(map(str, self.crashes))}" if self.crashes else ""
        return f"python -m tests.simulation --scenario {self.scenario} --seed {self.seed}{at}"


class Failed(Exception):
    """A case that broke a promise."""

    def __init__(self, case: Case, error: BaseException) -> None:
        super().__init__(f"{type(error).__name__}: {error}\nRepeat it with: {case.command}")
        self.case = case
        self.error = error


def cases_from(seed: int, scenarios: Sequence[str] | None = None) -> Iterator[Case]:
    """The cases of a seed: of each scenario a run without a crash, then one per port call that dies before or
    after it; where several callers meet, some of those. Every fifth dies twice."""
    draw = Random(seed)
    for scenario in scenarios or SCENARIOS:
        calm = Case(scenario, seed)
        yield calm
        try:
            calls = run(calm)
        except Failed:
            continue  # whoever ran it knows
        points = [sign * at for at in range(1, calls + 1) for sign in (1, -1)]
        if scenario in crowds.CROWDS:
            points = draw.sample(points, min(len(points), 8))
        for point in points:
            again = (abs(point) + draw.randrange(1, 30),) if draw.random() < 0.2 else ()
            yield Case(scenario, seed, (point, *again))


def shrunk(failure: Failed) -> Failed:
    """The smallest case found that fails: with fewer crashes."""
    case = failure.case
    candidates = [Case(case.scenario, case.seed, (one,)) for one in case.crashes if len(case.crashes) > 1]
    candidates += [Case(case.scenario, case.seed)]
    for candidate in reversed(candidates):
        try:
            run(candidate)
        except Failed as smaller:
            return smaller
    return failure


_EXPECTED: dict[str, object] = {}


def run(case: Case) -> int:
    """Run a case; how many port calls it took.

    Raises:
        Failed: It broke a promise.
    """
    world = World(
        case.seed,
        {abs(at): at < 0 for at in case.crashes},
        jumps=0.02 if case.seed % 3 == 0 else 0.0,
        stalls=crowds.STALLS.get(case.scenario, 0.0),
    )
    if Now.made is not None:
        Now.made(world)
    Now.watch = watch = Watch(world.durable)
    Now.host = lambda: world.current
    watch.process = lambda: world.current and world.current.process
    try:
        if case.scenario in SCRIPTS:
            _script(world, case.scenario)
        elif case.scenario in FLOWS:
            FLOWS[case.scenario](world, watch)
        else:
            crowds.CROWDS[case.scenario](world, watch)
        checks.check_store(world)
        checks.check_watch(world, watch)
    except (Exception, SimulatedCrash) as error:
        raise Failed(case, error) from error
    return world.calls


def expected(name: str) -> object:
    """What a script comes to where nothing dies."""
    if name not in _EXPECTED:
        calm = World(0)
        watch, Now.watch = Now.watch, Watch(calm.durable)
        host, Now.host = Now.host, lambda: calm.current
        _EXPECTED[name] = _values(calm, *SCRIPTS[name])
        Now.watch, Now.host = watch, host
    return _EXPECTED[name]


def _script(world: World, name: str) -> None:
    values = _values(world, *SCRIPTS[name])
    if expected(name) != values:
        raise Violation(f"the final state is {values}, and should be {expected(name)}")


def _values(world: World, program: str, ops: list[Op]) -> object:
    told: list[str] = []
    world.run(caller=lambda caller: told.extend(perform(Session(world, caller, program), ops)))
    values = final(world)
    checks.check_told(world, told)
    checks.check_marks(values)
    checks.check_order(world, "t", sum(op.forks for op in ops))
    return checks.normal(values)
