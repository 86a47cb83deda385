"""A speaker: a chat model that takes part in a conversation under a name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dashflow._util.langchain import RunnableConfig
from dashflow.patterns.condition import attribute_of, text_of, type_of
from dashflow.patterns.routing import messages_of
from dashflow.patterns.transforms import Transform, applied


def as_seen_by(name: str) -> Transform:
    """The conversation as one speaker has it: its own words are the model's, those of others come to it.

    Models take turns with one other side only, so what another speaker said becomes a human message that
    begins with that speaker's name.
    """

    def transform(messages: list[Any]) -> list[Any]:
        from langchain_core.messages import HumanMessage

        out = []
        for message in messages:
            author = attribute_of(message, "name")
            if type_of(message) == "ai" and author and author != name and text_of(message):
                message = HumanMessage(f"{author}: {text_of(message)}", id=attribute_of(message, "id"))
            out.append(message)
        return out

    return transform


def speaker(
    name: str,
    model: Any,
    prompt: str | None = None,
    *,
    transforms: Sequence[Transform] = (),
    key: str = "messages",
) -> Any:
    """A node: asks ``model`` with the conversation as this speaker sees it, and adds its answer.

    Args:
        name: The speaker's name; its messages bear it.
        model: A chat model or Runnable from messages to a message or text.
        prompt: A system message before the conversation.
        transforms: What it sees of the conversation.
        key: The state's key of messages.
    """
    from langchain_core.messages import AIMessage, BaseMessage, SystemMessage

    from dashflow.pregel.callable import RunnableCallable

    before = [] if prompt is None else [SystemMessage(prompt)]

    def asked(state: Any) -> list[Any]:
        return [*before, *applied(messages_of(state, key), (*transforms, as_seen_by(name)))]

    def said(answer: Any) -> dict[str, Any]:
        message = answer if isinstance(answer, BaseMessage) else AIMessage(str(answer))
        return {key: [message.model_copy(update={"name": name})]}

    def speak(state: Any, config: RunnableConfig) -> dict[str, Any]:
        return said(model.invoke(asked(state), config))

    async def aspeak(state: Any, config: RunnableConfig) -> dict[str, Any]:
        return said(await model.ainvoke(asked(state), config))

    return RunnableCallable(speak, aspeak, name=name)
