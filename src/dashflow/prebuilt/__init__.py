"""Ready-made parts of agents."""

from dashflow.prebuilt.tool_call_transformer import ToolCallTransformer

__all__ = ("ToolCallTransformer",)
