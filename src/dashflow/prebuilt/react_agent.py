"""The graph of a ready-made agent: call the model, run the tools it asks for, until it asks for none.

Nodes: ``agent``, ``tools`` and, where asked for, ``pre_model_hook``, ``post_model_hook`` and
``generate_structured_response``. Sync and async nodes are one text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from langchain_core.messages import AIMessage, AnyMessage, SystemMessage, ToolMessage
from langchain_core.runnables import Runnable, RunnableConfig
from pydantic import BaseModel, create_model

from dashflow._util.drive import drive
from dashflow.constants import END
from dashflow.graph.state import StateGraph
from dashflow.prebuilt.agent_model import AgentModel, chat_model_of, validate_chat_history, value_of
from dashflow.prebuilt.tool_node import ToolNode
from dashflow.pregel.callable import RunnableCallable
from dashflow.runtime import Runtime
from dashflow.types.commands import Send

STRUCTURE = "generate_structured_response"


class ReactAgent:
    """An agent, before it is compiled.

    Args:
        model: Its model.
        tools: The node that runs its tools.
        state_schema: Its state; has ``messages``.
        name: Name that its messages bear.
        response_format: Schema of a closing structured response, or a pair of prompt and schema.
        pre_model_hook: Runs before every call of the model.
        post_model_hook: Runs after it.
        version: ``v1`` runs all calls of a message in one task, ``v2`` each in its own.
    """

    def __init__(
        self,
        model: AgentModel,
        tools: ToolNode,
        *,
        state_schema: Any,
        name: str | None,
        response_format: Any,
        pre_model_hook: Any,
        post_model_hook: Any,
        version: Literal["v1", "v2"],
    ) -> None:
        self.model = model
        self.tools = tools
        self.state_schema = state_schema
        self.name = name
        self.response_format = response_format
        self.pre_model_hook = pre_model_hook
        self.post_model_hook = post_model_hook
        self.version = version
        self.entry = "agent" if pre_model_hook is None else "pre_model_hook"
        self.final = END if response_format is None else STRUCTURE
        self.direct = {tool.name for tool in tools.tools_by_name.values() if tool.return_direct}

    # -- the graph ----------------------------------------------------------------------------

    def graph(self, context_schema: Any) -> StateGraph[Any, Any, Any, Any]:
        """The graph, ready to compile."""
        graph: StateGraph[Any, Any, Any, Any] = StateGraph(self.state_schema, context_schema)
        calls = bool(self.tools.tools_by_name)
        graph.add_node(
            "agent", RunnableCallable(self.call_model, self.acall_model), input_schema=self._input_schema()
        )
        if calls:
            graph.add_node("tools", self.tools)
        if self.pre_model_hook is not None:
            graph.add_node("pre_model_hook", self.pre_model_hook)
            graph.add_edge("pre_model_hook", "agent")
        graph.set_entry_point(self.entry)
        last = "agent"
        if self.post_model_hook is not None:
            graph.add_node("post_model_hook", self.post_model_hook)
            graph.add_edge("agent", "post_model_hook")
            last = "post_model_hook"
        if self.response_format is not None:
            structure = RunnableCallable(
                self.generate_structured_response, self.agenerate_structured_response
            )
            graph.add_node(STRUCTURE, structure)
        if calls:
            self._connect_tools(graph)
        elif self.response_format is not None:
            graph.add_edge(last, STRUCTURE)
        return graph

    def _connect_tools(self, graph: StateGraph[Any, Any, Any, Any]) -> None:
        if self.post_model_hook is None:
            graph.add_conditional_edges("agent", self.should_continue, path_map=["tools", self.final])
        else:
            graph.add_conditional_edges(
                "post_model_hook", self.post_model_hook_router, path_map=[self.entry, "tools", self.final]
            )
        if self.direct:
            graph.add_conditional_edges("tools", self.route_tool_responses, path_map=[self.entry, END])
        else:
            graph.add_edge("tools", self.entry)

    def _input_schema(self) -> Any:
        """What the agent's node reads: with a hook before it, also the messages that this one chose."""
        schema = self.state_schema
        if self.pre_model_hook is None:
            return schema
        if isinstance(schema, type) and issubclass(schema, BaseModel):
            return create_model(
                "CallModelInputSchema", __base__=schema, llm_input_messages=(list[AnyMessage], ...)
            )

        class CallModelInputSchema(schema):  # type: ignore[misc,valid-type]
            llm_input_messages: list[AnyMessage]

        return CallModelInputSchema

    # -- nodes --------------------------------------------------------------------------------

    def call_model(self, state: Any, runtime: Runtime[Any], config: RunnableConfig) -> Any:
        """The node ``agent``."""
        return drive(self._call_model(state, runtime, config, asynchronous=False))

    async def acall_model(self, state: Any, runtime: Runtime[Any], config: RunnableConfig) -> Any:
        """The same for async runs."""
        return await self._call_model(state, runtime, config, asynchronous=True)

    async def _call_model(
        self, state: Any, runtime: Runtime[Any], config: RunnableConfig, *, asynchronous: bool
    ) -> Any:
        given = self._model_input(state)
        model = await self.model.at(state, runtime, asynchronous=asynchronous)
        response = await _run(model, given, config, asynchronous)
        response.name = self.name
        if self._needs_more_steps(state, response):
            text = "Sorry, need more steps to process this request."
            return {"messages": [AIMessage(id=response.id, content=text)]}
        return {"messages": [response]}

    def _model_input(self, state: Any) -> Any:
        messages, expected = None, "'messages' key"
        if self.pre_model_hook is not None:
            messages, expected = (
                value_of(state, "llm_input_messages"),
                "'llm_input_messages' or 'messages' key",
            )
        messages = messages or value_of(state, "messages")
        if messages is None:
            raise ValueError(f"Expected input to call_model to have {expected}, but got {state}")
        validate_chat_history(messages)
        if isinstance(state, dict):
            state["messages"] = messages
        else:
            state.messages = messages
        return state

    def _needs_more_steps(self, state: Any, response: Any) -> bool:
        """Whether the recursion limit would cut off what the model asks for."""
        left = value_of(state, "remaining_steps")
        if left is None or not isinstance(response, AIMessage):
            return False
        if left < 1:
            return all(call["name"] in self.direct for call in response.tool_calls)
        return left < 2 and bool(response.tool_calls)

    def generate_structured_response(self, state: Any, runtime: Runtime[Any], config: RunnableConfig) -> Any:
        """The node that closes with a structured response."""
        return drive(self._structure(state, runtime, config, asynchronous=False))

    async def agenerate_structured_response(
        self, state: Any, runtime: Runtime[Any], config: RunnableConfig
    ) -> Any:
        """The same for async runs."""
        return await self._structure(state, runtime, config, asynchronous=True)

    async def _structure(
        self, state: Any, runtime: Runtime[Any], config: RunnableConfig, *, asynchronous: bool
    ) -> Any:
        messages, schema = value_of(state, "messages"), self.response_format
        if isinstance(schema, tuple):
            prompt, schema = schema
            messages = [SystemMessage(content=prompt), *messages]
        model = await self.model.at(state, runtime, asynchronous=asynchronous)
        structured = chat_model_of(model).with_structured_output(schema)
        return {"structured_response": await _run(structured, messages, config, asynchronous)}

    # -- where to go --------------------------------------------------------------------------

    def should_continue(self, state: Any) -> str | list[Send]:
        """After the model, where no hook follows: to the tools it asks for, else to the end."""
        last = value_of(state, "messages")[-1]
        calls = last.tool_calls if isinstance(last, AIMessage) else ()
        if calls and self.version == "v1":
            return "tools"
        return _packets(calls, state) if calls else self.final

    def post_model_hook_router(self, state: Any) -> str | list[Send]:
        """After the hook: to tools that nobody has answered for, back to the model, or to the end."""
        messages = value_of(state, "messages")
        answered = {message.tool_call_id for message in messages if isinstance(message, ToolMessage)}
        last = next(message for message in reversed(messages) if isinstance(message, AIMessage))
        if pending := [call for call in last.tool_calls if call["id"] not in answered]:
            return _packets(pending, state)
        return self.entry if isinstance(messages[-1], ToolMessage) else self.final

    def route_tool_responses(self, state: Any) -> str:
        """After the tools: to the end if one of them answers the user directly, else to the model."""
        for message in reversed(value_of(state, "messages")):
            if isinstance(message, ToolMessage):
                if message.name in self.direct:
                    return END
                continue
            # Calls of one message may run in several tasks: the direct one may be in another than this.
            calls = message.tool_calls if isinstance(message, AIMessage) else ()
            return END if any(call["name"] in self.direct for call in calls) else self.entry
        return self.entry


async def _run(runnable: Runnable[Any, Any], given: Any, config: RunnableConfig, asynchronous: bool) -> Any:
    return await runnable.ainvoke(given, config) if asynchronous else runnable.invoke(given, config)


def _packets(calls: Sequence[Any], state: Any) -> list[Send]:
    """One task per tool call, with the state that it is made in."""
    return [
        Send("tools", {"__type": "tool_call_with_context", "tool_call": call, "state": state})
        for call in calls
    ]
