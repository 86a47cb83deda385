"""Texts of values, and vectors of texts. Loads LangChain only when a text names a model, or for its class."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from dashflow._util.langchain import Embeddings

__all__ = (
    "AEmbeddingsFunc",
    "Embeddings",
    "EmbeddingsFunc",
    "EmbeddingsLambda",
    "ensure_embeddings",
    "get_text_at_path",
    "tokenize_path",
)

EmbeddingsFunc = Callable[[Sequence[str]], list[list[float]]]
"""A function from texts to vectors, one for each."""

AEmbeddingsFunc = Callable[[Sequence[str]], Awaitable[list[list[float]]]]
"""An async function from texts to vectors, one for each."""

_METHODS: Final = ("embed_documents", "embed_query", "aembed_documents", "aembed_query")


class EmbeddingsLambda:
    """A function, as LangChain embeddings; ``isinstance`` says so once LangChain is there.

    Args:
        func: Makes vectors of texts. An async function serves the async methods only.

    Raises:
        ValueError: There is no function.
    """

    def __init__(self, func: EmbeddingsFunc | AEmbeddingsFunc) -> None:
        if func is None:
            raise ValueError("func must be provided")
        self.func: EmbeddingsFunc | None = None
        self.afunc: AEmbeddingsFunc | None = None
        if inspect.iscoroutinefunction(func) or inspect.iscoroutinefunction(getattr(func, "__call__", None)):  # noqa: B004
            self.afunc = cast("AEmbeddingsFunc", func)
        else:
            self.func = cast("EmbeddingsFunc", func)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Vectors of texts.

        Raises:
            ValueError: The function is async.
        """
        if self.func is None:
            raise ValueError(
                "EmbeddingsLambda was initialized with an async function but no sync function. "
                "Use aembed_documents for async operation or provide a sync function."
            )
        return self.func(texts)

    def embed_query(self, text: str) -> list[float]:
        """The vector of one text."""
        return self.embed_documents([text])[0]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Vectors of texts; a plain function runs in a thread."""
        if self.afunc is not None:
            return await self.afunc(texts)
        from asyncio import to_thread

        return await to_thread(self.embed_documents, texts)

    async def aembed_query(self, text: str) -> list[float]:
        """The vector of one text."""
        return (await self.aembed_documents([text]))[0]


def ensure_embeddings(embed: Embeddings | EmbeddingsFunc | AEmbeddingsFunc | str | None) -> Embeddings:
    """Embeddings, of whatever an index may be told.

    Args:
        embed: LangChain embeddings, a function, an async function, or a text that names a model.

    Raises:
        ValueError: There is none; or a text was given and LangChain's ``init_embeddings`` is not there.
    """
    if embed is None:
        raise ValueError("embed must be provided")
    if isinstance(embed, str):
        return _named(embed)
    if all(hasattr(embed, method) for method in _METHODS):
        return cast("Embeddings", embed)
    made = EmbeddingsLambda(cast("EmbeddingsFunc", embed))
    if "langchain_core.embeddings" in sys.modules:
        embeddings_class()
    return cast("Embeddings", made)


def embeddings_class() -> type[Embeddings]:
    """LangChain's class; loads it."""
    from dashflow._util.langchain import embeddings

    found = embeddings()
    found.register(EmbeddingsLambda)
    return found


def __getattr__(name: str) -> Any:
    if name == "Embeddings":
        return embeddings_class()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _named(model: str) -> Embeddings:
    from importlib import import_module
    from importlib.metadata import PackageNotFoundError, version

    try:
        init_embeddings = import_module("langchain.embeddings").init_embeddings
    except ImportError as error:
        try:
            found = f"Found langchain version {version('langchain')}, but"
        except PackageNotFoundError:
            found = "langchain is not installed;"
        raise ValueError(
            f"Could not load embeddings from string '{model}'. {found} loading embeddings by "
            "provider:identifier string requires langchain>=0.3.9 as well as the provider's package. "
            "Install them (pip install 'langchain>=0.3.9', and for example 'langchain-openai'), or give "
            "'embed' embeddings or a function."
        ) from error
    return cast("Embeddings", init_embeddings(model))


def get_text_at_path(obj: Any, path: str | list[str]) -> list[str]:
    """The texts that a path leads to in a value.

    Args:
        obj: The value.
        path: Names of fields with periods between them; ``[0]``, ``[-1]``, ``[*]`` for elements of lists;
            ``*`` for all fields or elements; ``{a,b.c}`` for several fields. ``"$"`` or nothing is all of
            the value, as JSON. Or what ``tokenize_path`` makes of such a text.

    Returns:
        Texts, numbers and booleans as text, lists and dicts as JSON. Empty if the path leads nowhere.
    """
    if isinstance(obj, Mapping) and not isinstance(obj, dict):
        obj = dict(obj)
    if not path or path == "$":
        return [_json(obj)]
    found = [obj]
    for token in tokenize_path(path) if isinstance(path, str) else path:
        found = [below for value in found for below in _below(value, token)]
    return [text for value in found for text in _text(value)]


def _below(value: Any, token: str) -> Sequence[Any]:
    """What one part of a path leads to."""
    if token.startswith("[") and token.endswith("]"):
        return _elements(value, token[1:-1]) if isinstance(value, list) else ()
    if token.startswith("{") and token.endswith("}"):
        fields = token[1:-1].split(",") if isinstance(value, dict) else ()
        return [below for field in fields for below in _field(value, field.strip())]
    if token == "*":
        return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value[token]] if isinstance(value, dict) and token in value else ()


def _elements(value: list[Any], index: str) -> Sequence[Any]:
    if index == "*":
        return value
    try:
        return [value[int(index)]]
    except (ValueError, IndexError):
        return ()


def _field(value: Any, path: str) -> Sequence[Any]:
    """One field of several; in it, a path of names only."""
    tokens = tokenize_path(path)
    for token in tokens:
        if not isinstance(value, dict) or token not in value:
            return ()
        value = value[token]
    return [value] if tokens else ()


def _text(value: Any) -> Sequence[str]:
    if isinstance(value, str | int | float | bool):
        return [str(value)]
    return [_json(value)] if isinstance(value, list | dict) else ()


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


_CLOSING: Final = {"[": "]", "{": "}"}


def tokenize_path(path: str) -> list[str]:
    """The parts of a path: names of fields, and whatever is in brackets or braces, with these."""
    tokens: list[str] = []
    name = ""
    place = 0
    while place < len(path):
        character = path[place]
        end = place + 1
        if character in _CLOSING:
            end = _end_of_group(path, place)
        if character in _CLOSING or character == ".":
            if name:
                tokens.append(name)
            name = ""
        if character in _CLOSING:
            tokens.append(path[place:end])
        elif character != ".":
            name += character
        place = end
    return [*tokens, name] if name else tokens


def _end_of_group(path: str, start: int) -> int:
    """The place behind the bracket or brace that closes the one at ``start``, or the path's end."""
    opening, depth = path[start], 0
    for place in range(start, len(path)):
        depth += (path[place] == opening) - (path[place] == _CLOSING[opening])
        if not depth:
            return place + 1
    return len(path)
