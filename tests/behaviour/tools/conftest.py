"""How a tool node is run by itself: with a runtime in its config, in either world."""

import asyncio

import pytest

from dashflow.runtime import Runtime


def bare(**runtime):
    return {"configurable": {"__pregel_runtime": Runtime(**runtime)}}


@pytest.fixture(params=["sync", "async"])
def run(request):
    """Run a node by itself, in either world."""

    def go(node, given, **runtime):
        if request.param == "sync":
            return node.invoke(given, bare(**runtime))
        return asyncio.run(node.ainvoke(given, bare(**runtime)))

    go.config = bare
    go.asynchronous = request.param == "async"
    return go
