"""Ready-made parts of agents: a node that runs tools, an agent that uses it, checks of tool calls."""

from dashflow.prebuilt.chat_agent_executor import create_react_agent
from dashflow.prebuilt.tool_call_transformer import ToolCallTransformer
from dashflow.prebuilt.tool_node import InjectedState, InjectedStore, ToolNode, ToolRuntime, tools_condition
from dashflow.prebuilt.tool_validator import ValidationNode

__all__ = (
    "InjectedState",
    "InjectedStore",
    "ToolCallTransformer",
    "ToolNode",
    "ToolRuntime",
    "ValidationNode",
    "create_react_agent",
    "tools_condition",
)
