"""Types of questions and answers between an agent and a person. Deprecated; kept as LangGraph has them."""

from __future__ import annotations

from typing import Any, Literal

from typing_extensions import TypedDict, deprecated

from dashflow.warnings import LangGraphDeprecatedSinceV10

__all__ = ("ActionRequest", "HumanInterrupt", "HumanInterruptConfig", "HumanResponse")


@deprecated(
    "HumanInterruptConfig has been moved to `langchain.agents.interrupt`. "
    "Please update your import to `from langchain.agents.interrupt import HumanInterruptConfig`.",
    category=LangGraphDeprecatedSinceV10,
)
class HumanInterruptConfig(TypedDict):
    """What a person may do with a question.

    Attributes:
        allow_ignore: Skip the step.
        allow_respond: Answer in words.
        allow_edit: Change what was asked for.
        allow_accept: Approve it as it is.
    """

    allow_ignore: bool
    allow_respond: bool
    allow_edit: bool
    allow_accept: bool


@deprecated(
    "ActionRequest has been moved to `langchain.agents.interrupt`. "
    "Please update your import to `from langchain.agents.interrupt import ActionRequest`.",
    category=LangGraphDeprecatedSinceV10,
)
class ActionRequest(TypedDict):
    """What the agent wants to do: the action's name and its arguments."""

    action: str
    args: dict[str, Any]


@deprecated(
    "HumanInterrupt has been moved to `langchain.agents.interrupt`. "
    "Please update your import to `from langchain.agents.interrupt import HumanInterrupt`.",
    category=LangGraphDeprecatedSinceV10,
)
class HumanInterrupt(TypedDict):
    """A question to a person: the action, what may be done with it, and words about it."""

    action_request: ActionRequest
    config: HumanInterruptConfig
    description: str | None


class HumanResponse(TypedDict):
    """A person's answer: its kind, and with it a text (``response``), a changed action (``edit``) or None."""

    type: Literal["accept", "ignore", "response", "edit"]
    args: str | ActionRequest | None
