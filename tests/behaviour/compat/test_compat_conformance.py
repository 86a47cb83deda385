"""DashFlow's savers against the public package ``langgraph-checkpoint-conformance``, through the alias."""

import pytest
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.report import ProgressCallbacks
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

pytestmark = pytest.mark.feature("MIGRATE-002", "RUN-16")


@checkpointer_test(name="memory")
async def memory():
    yield InMemorySaver()


@checkpointer_test(name="sqlite")
async def sqlite():
    async with AsyncSqliteSaver.from_conn_string(":memory:") as saver:
        yield saver


@pytest.fixture
def savers(postgres):
    @checkpointer_test(name="postgres")
    async def in_postgres():
        async with AsyncPostgresSaver.from_conn_string(postgres.log) as saver:
            yield saver

    return {"memory": memory, "sqlite": sqlite, "postgres": in_postgres}


@pytest.mark.parametrize("kind", ["memory", "sqlite", "postgres"])
async def test_every_capability_conforms(savers, kind):
    saver = savers[kind]
    report = await validate(saver, progress=ProgressCallbacks.quiet())
    assert report.passed_all(), report.to_dict()
    assert report.conformance_level() == "FULL"
    assert all(result["passed"] for result in report.to_dict()["results"].values())
