"""kill -9 of whoever keeps a view, at any point: the view has every event, and none twice."""

import os
import random
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from dashflow.log.base import Append, Record
from dashflow.log.open import open_log
from dashflow.log.projections import Projection, Projector, View
from dashflow.testing.log_case import new_events

pytestmark = [
    pytest.mark.feature("LOG-06"),
    pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals"),
]

KEEPER = """
import sys
from dashflow.log import projections
from dashflow.log.open import open_log
from dashflow.log.projections import Projection, Projector

projections.BATCH = 10

class Counts(Projection):
    name = "counts"
    def changes(self, record, view):
        print(record.position, flush=True)
        return {record.stream: view.get(record.stream, 0) + 1}

Projector(open_log(sys.argv[1]), Counts()).follow()
"""


class Counts(Projection):
    name = "counts"

    def changes(self, record: Record, view: View) -> Mapping[str, Any]:
        return {record.stream: view.get(record.stream, 0) + 1}


def rounds(where: str, kills: int) -> None:
    chance = random.Random(20_240_117)
    log = open_log(where)
    for number in range(kills):
        log.append(Append(f"run-{number % 7}", new_events(200)))
        # All say into one pipe what they do: of several, any may do it all.
        hears, says = os.pipe()
        command = [sys.executable, "-c", KEEPER, where]
        keepers = [subprocess.Popen(command, stdout=says) for _ in range(1 + number % 2)]
        os.close(says)
        with open(hears) as lines:
            for _ in range(chance.randrange(1, 150)):
                assert lines.readline()
            for keeper in keepers:
                keeper.kill()
                keeper.wait()
    projector = Projector(log, Counts())
    assert projector.position > 0
    assert projector.verify() == []
    projector.catch_up()
    assert projector.verify() == []
    assert sum(projector.items().values()) == 200 * kills
    log.close()


def test_a_keeper_is_killed_at_any_point(where: str) -> None:
    rounds(where, 4)


@pytest.mark.soak
def test_a_keeper_is_killed_at_any_point_100_times(where: str) -> None:
    rounds(where, 100)
