"""DashFlow's savers against the public package ``langgraph-checkpoint-conformance``, through the alias."""

import pytest
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.report import ProgressCallbacks
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

pytestmark = pytest.mark.feature("MIGRATE-002", "RUN-16")


@checkpointer_test(name="memory")
async def memory():
    yield InMemorySaver()


@checkpointer_test(name="sqlite")
async def sqlite():
    async with AsyncSqliteSaver.from_conn_string(":memory:") as saver:
        yield saver


@pytest.mark.parametrize("saver", [memory, sqlite], ids=["memory", "sqlite"])
async def test_every_capability_conforms(saver):
    report = await validate(saver, progress=ProgressCallbacks.quiet())
    assert report.passed_all(), report.to_dict()
    assert report.conformance_level() == "FULL"
    assert all(result["passed"] for result in report.to_dict()["results"].values())
