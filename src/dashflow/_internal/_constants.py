"""The words of LangGraph's configs that other people's code takes from this private place of LangGraph's."""

from dashflow._util.reserved import (
    CONFIG_KEY_NODE_FINISHED,
    CONFIG_KEY_READ,
    CONFIG_KEY_SEND,
    CONFIG_KEY_STRICT_RESUME,
)

__all__ = ("CONFIG_KEY_NODE_FINISHED", "CONFIG_KEY_READ", "CONFIG_KEY_SEND", "CONFIG_KEY_STRICT_RESUME")
