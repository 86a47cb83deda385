"""What a compiled graph says of itself: its drawing, the graphs inside of it, its types and schemas.

Everything is made when somebody asks; only then are LangChain, pydantic and the files that make it imported.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, simplefilter, warn

from typing_extensions import deprecated

from dashflow.channels.base import BaseChannel
from dashflow.pregel.protocol import PregelProtocol
from dashflow.typing import ContextT, InputT, OutputT, StateT
from dashflow.warnings import LangGraphDeprecatedSinceV10

if TYPE_CHECKING:
    from langchain_core.runnables.graph import Graph
    from pydantic import BaseModel

Config = Mapping[str, Any]
_INSTEAD = "`{}` is deprecated. Use `get_context_jsonschema`{} instead."


class Described(PregelProtocol[StateT, ContextT, InputT, OutputT]):
    """A compiled graph to somebody who looks at it."""

    channels: dict[str, Any]
    input_channels: str | Sequence[str]
    output_channels: str | Sequence[str]
    context_schema: Any

    # -- drawings and inner graphs --------------------------------------------------------------

    def get_graph(self, config: Config | None = None, *, xray: int | bool = False) -> Graph:
        """The graph as LangChain draws graphs.

        Args:
            config: Handed to the graphs inside.
            xray: Put the graphs in its nodes in the place of these nodes; a number: so many levels deep.
        """
        from dashflow.pregel.drawing import draw, inner_graphs

        return draw(self, inner_graphs(self, config, xray))

    async def aget_graph(self, config: Config | None = None, *, xray: int | bool = False) -> Graph:
        """``get_graph`` for asyncio callers."""
        from dashflow.pregel.drawing import ainner_graphs, draw

        return draw(self, await ainner_graphs(self, config, xray))

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        """How Jupyter shows it."""
        return {"text/plain": repr(self), "image/png": self.get_graph().draw_mermaid_png()}

    def get_subgraphs(
        self, *, namespace: str | None = None, recurse: bool = False
    ) -> Iterator[tuple[str, Any]]:
        """Pairs of namespace and graph for the graphs in its nodes.

        Args:
            namespace: Only the one there.
            recurse: Also the graphs inside of those.
        """
        from dashflow.pregel.subgraphs import subgraphs_of

        return subgraphs_of(self, namespace, recurse)

    async def aget_subgraphs(
        self, *, namespace: str | None = None, recurse: bool = False
    ) -> AsyncIterator[tuple[str, Any]]:
        """``get_subgraphs`` for asyncio callers."""
        for pair in self.get_subgraphs(namespace=namespace, recurse=recurse):
            yield pair

    # -- types and schemas ----------------------------------------------------------------------

    @property
    def InputType(self) -> Any:  # LangChain's name
        """The type of its input; None when that is a dict of several channels."""
        return self._channel_type(self.input_channels, "UpdateType")

    @property
    def OutputType(self) -> Any:  # LangChain's name
        """The type of its output; None when that is a dict of several channels."""
        return self._channel_type(self.output_channels, "ValueType")

    def _channel_type(self, keys: str | Sequence[str], which: str) -> Any:
        channel = self.channels[keys] if isinstance(keys, str) else None
        return getattr(channel, which) if isinstance(channel, BaseChannel) else None

    def get_input_schema(self, config: Config | None = None) -> type[BaseModel]:
        """A pydantic model of its input."""
        from dashflow.pregel.schemas import model_of, root_model_of

        if isinstance(self.input_channels, str):
            return root_model_of(self.get_name("Input"), self.InputType)
        keys = self.input_channels or list(self.channels)
        return model_of(self.get_name("Input"), self._types(keys, "UpdateType"))

    def get_output_schema(self, config: Config | None = None) -> type[BaseModel]:
        """A pydantic model of its output."""
        from dashflow.pregel.schemas import model_of, root_model_of

        if isinstance(self.output_channels, str):
            return root_model_of(self.get_name("Output"), self.OutputType)
        return model_of(self.get_name("Output"), self._types(self.output_channels, "ValueType"))

    def _types(self, keys: Sequence[str], which: str) -> dict[str, tuple[Any, Any]]:
        """Type and default of each channel."""
        channels = {key: self.channels[key] for key in keys}
        return {key: (getattr(c, which), None) for key, c in channels.items() if isinstance(c, BaseChannel)}

    def get_input_jsonschema(self, config: Config | None = None) -> dict[str, Any]:
        """JSON Schema of its input."""
        return self.get_input_schema(config).model_json_schema()

    def get_output_jsonschema(self, config: Config | None = None) -> dict[str, Any]:
        """JSON Schema of its output."""
        return self.get_output_schema(config).model_json_schema()

    def get_context_jsonschema(self) -> dict[str, Any] | None:
        """JSON Schema of what runs take as ``context``; None when the graph declares none.

        Raises:
            ValueError: It is neither a pydantic model nor a TypedDict nor a dataclass.
        """
        from dashflow.pregel.schemas import context_json_schema

        return None if self.context_schema is None else context_json_schema(self.context_schema)

    @deprecated(_INSTEAD.format("config_schema", " for the relevant schema"), category=None)
    def config_schema(self, *, include: Sequence[str] | None = None) -> type[BaseModel]:
        """A pydantic model of a run's config: its context and the fields in ``include``."""
        from dashflow.pregel.schemas import config_model

        text = _INSTEAD.format("config_schema", " for the relevant schema")
        warn(text, LangGraphDeprecatedSinceV10, stacklevel=2)
        return config_model(self.get_name("Config"), self.context_schema, include or ())

    @deprecated(_INSTEAD.format("get_config_jsonschema", ""), category=None)
    def get_config_jsonschema(self, *, include: Sequence[str] | None = None) -> dict[str, Any]:
        """JSON Schema of a run's config."""
        warn(_INSTEAD.format("get_config_jsonschema", ""), LangGraphDeprecatedSinceV10, stacklevel=2)
        with catch_warnings():
            simplefilter("ignore", LangGraphDeprecatedSinceV10)
            return self.config_schema(include=include).model_json_schema()
