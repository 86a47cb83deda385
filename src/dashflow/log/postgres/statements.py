"""The package's SQL for one schema: the statements that the program runs, and the numbered scripts."""

from __future__ import annotations

from functools import cache

from dashflow.log.statements import numbered, parse, text_of


@cache
def queries(schema: str) -> dict[str, str]:
    """The statements of ``queries.sql`` for a schema, whose name holds nothing that needs care."""
    return {
        name: text.replace("{schema}", f'"{schema}"')
        for name, text in parse(text_of(__package__, "queries.sql")).items()
    }


@cache
def scripts() -> dict[int, tuple[str, str]]:
    """The scripts that make and change the tables: name and text by number."""
    return numbered(__package__, "migrations")


def script_for(schema: str, text: str) -> str:
    """A script's text for a schema."""
    return text.replace("{schema}", f'"{schema}"')
