"""What a store with an index does about texts and vectors, whatever it keeps them in.

Finds the texts of values and has vectors made of them; compares vectors. Stores nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar, cast

from dashflow._util.langchain import Embeddings
from dashflow.store.base.embed import ensure_embeddings, get_text_at_path, tokenize_path
from dashflow.store.base.ops import Op, PutOp, SearchOp
from dashflow.store.base.settings import IndexConfig

__all__ = ("NO_VECTORS", "TextIndex", "Vectors")

ConfigT = TypeVar("ConfigT", bound=IndexConfig)


class Vectors(NamedTuple):
    """The vectors that a batch needs.

    Attributes:
        documents: Of what is put, by the operation's place in the batch: pairs of a text's path and its
            vector.
        queries: Of what is searched for, by text.
    """

    documents: Mapping[int, Sequence[tuple[str, Sequence[float]]]]
    queries: Mapping[str, Sequence[float]]


NO_VECTORS = Vectors({}, {})


class TextIndex(Generic[ConfigT]):
    """How one store is searched by meaning.

    Args:
        config: What the store was told; it is copied.

    Attributes:
        config: The copy.
        embeddings: What makes the vectors.

    Raises:
        ValueError: It says nothing that could make vectors.
    """

    def __init__(self, config: ConfigT) -> None:
        self.config = config.copy()
        self.embeddings: Embeddings = ensure_embeddings(cast("Any", config.get("embed")))
        self._fields = _tokenized(self._wanted())

    def _wanted(self) -> Any:
        # LangGraph's SQLite store has another name for them, and the documented one.
        wanted = self.config.get("text_fields") or self.config.get("fields") or ["$"]
        wanted = [wanted] if isinstance(wanted, str) else wanted
        if not isinstance(wanted, list):
            raise ValueError(f"Text fields must be a list or a string. Got {wanted}")
        return wanted

    def _texts(self, op: PutOp) -> list[tuple[str, str]]:
        """What is searched in a value that is put: (path, text); of a path to many texts, numbered."""
        if op.value is None or op.index is False:
            return []
        found: list[tuple[str, str]] = []
        for path, tokens in self._fields if op.index is None else _tokenized(op.index):
            texts = get_text_at_path(op.value, tokens)
            many = len(texts) > 1
            found += [(f"{path}.{number}" if many else path, text) for number, text in enumerate(texts)]
        return found

    def _needed(self, ops: Sequence[Op]) -> _Needed:
        found = {place: self._texts(op) for place, op in enumerate(ops) if isinstance(op, PutOp)}
        documents = dict.fromkeys(text for texts in found.values() for _, text in texts)
        queries = dict.fromkeys(op.query for op in ops if isinstance(op, SearchOp) and op.query)
        return _Needed(found, list(documents), list(queries))

    def embed(self, ops: Sequence[Op]) -> Vectors:
        """Make the vectors that operations need."""
        needed = self._needed(ops)
        vectors = self.embeddings.embed_documents(needed.documents) if needed.documents else []
        return needed.made(vectors, [self.embeddings.embed_query(text) for text in needed.queries])

    async def aembed(self, ops: Sequence[Op]) -> Vectors:
        """Make the vectors that operations need; those of queries at the same time."""
        from asyncio import gather

        needed = self._needed(ops)
        vectors = await self.embeddings.aembed_documents(needed.documents) if needed.documents else []
        return needed.made(
            vectors, await gather(*(self.embeddings.aembed_query(text) for text in needed.queries))
        )


class _Needed(NamedTuple):
    """The texts to make vectors of, each once; and by place in the batch where those of documents are."""

    found: dict[int, list[tuple[str, str]]]
    documents: list[str]
    queries: list[str]

    def made(self, vectors: Sequence[Sequence[float]], asked: Sequence[Sequence[float]]) -> Vectors:
        """The vectors where they are needed."""
        if len(vectors) != len(self.documents):
            raise ValueError(
                f"Number of embeddings ({len(vectors)}) does not match number of texts "
                f"({len(self.documents)}): 'embed' of the index must return one vector for each text."
            )
        of = dict(zip(self.documents, vectors, strict=True))
        return Vectors(
            {place: [(path, of[text]) for path, text in texts] for place, texts in self.found.items()},
            dict(zip(self.queries, asked, strict=True)),
        )


def _tokenized(paths: Sequence[str]) -> list[tuple[str, str | list[str]]]:
    return [(path, path if path == "$" else tokenize_path(path)) for path in paths]
