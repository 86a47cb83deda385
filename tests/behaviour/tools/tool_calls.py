"""Tool calls as a model makes them, two tools, and what came of the calls."""

from langchain_core.messages import AIMessage


def call(name, identifier="1", **args):
    return {"name": name, "args": args, "id": identifier, "type": "tool_call"}


def asks(*calls):
    return {"messages": [AIMessage("", tool_calls=list(calls))]}


def add(a: int, b: int) -> int:
    """Add."""
    return a + b


def fail(text: str) -> str:
    """Fail."""
    raise LookupError(text)


def shown(result):
    return [(m.content, m.status, m.tool_call_id) for m in result]
