"""What ``schema`` does: ask the graph, and show what it says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from dashflow.checkpoint.saver import LogSaver
from dashflow.cli.branch_views import plain_value
from dashflow.cli.graphs import load_graph
from dashflow.cli.logfile import find_graph_thread, opened
from dashflow.cli.options import Settings
from dashflow.cli.output import Output
from dashflow.cli.schema_views import fit_view
from dashflow.core.fingerprint import is_control
from dashflow.errors import UsageError
from dashflow.graph.inference import InferredSchema, infer_from_nodes, infer_from_samples
from dashflow.pregel.replays import is_there


def show(settings: Settings, name: str, part: str) -> int:
    """Print a schema of a graph.

    Raises:
        UsageError: There is no such graph, or it has no such schema.
    """
    graph: Any = load_graph(name)
    if part == "fingerprint":
        schema = {"print": graph.plan.print, **json.loads(graph.plan.shape)}
    elif part == "input":
        schema = graph.get_input_jsonschema()
    elif part == "output":
        schema = graph.get_output_jsonschema()
    elif part == "context":
        schema = graph.get_context_jsonschema()
        if schema is None:
            raise UsageError(f"{name!r} has no context schema; StateGraph(context_schema=...) gives it one.")
    elif hasattr(graph, "get_state_jsonschema"):
        schema = graph.get_state_jsonschema()
    else:
        raise UsageError(
            f"{name!r} is no StateGraph, so it has no schema of a state; --of fingerprint works."
        )
    _write(settings, schema)
    return 0


def infer(
    settings: Settings,
    graph: str,
    paths: Sequence[str],
    threads: Sequence[str],
    name: str,
    *,
    source: bool,
) -> int:
    """Print a proposal for a schema.

    Raises:
        UsageError: There is nothing to learn from.
    """
    try:
        found = _inferred(settings, graph, paths, threads, name)
    except (ValueError, TypeError) as error:
        raise UsageError(str(error)) from error
    output = Output(settings)
    for note in found.notes:
        output.say(f"Note: {note}")
    if source:
        output.out.write(found.source())
    else:
        _write(settings, found.json_schema())
    return 0


def _inferred(
    settings: Settings, graph: str, paths: Sequence[str], threads: Sequence[str], name: str
) -> InferredSchema:
    if graph:
        return infer_from_nodes(load_graph(graph), name=name)
    if paths:
        return infer_from_samples((sample for path in paths for sample in _samples(path)), name)
    with opened(settings) as log:
        reader = LogSaver(log).reader.lenient()
        names = [find_graph_thread(log, one, settings.shown_db) for one in threads]
        states = [
            {key: plain_value(value) for key, value in state.values.items() if not is_control(key)}
            for one in names
            for state in reader.history(one)
            if state.checkpoint == state.version and state.checkpoint
        ]
    return infer_from_samples([state for state in states if state], name)


def _samples(path: str) -> Iterator[Any]:
    """The states in a file: a JSON list, or one to a line."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except OSError as error:
        raise UsageError(f"The samples in {path!r} cannot be read: {error.strerror}.") from error
    lines = [text] if text.lstrip().startswith("[") else text.splitlines()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found = msgspec.json.decode(line)
        except msgspec.DecodeError as error:
            raise UsageError(f"Line {number} of {path!r} is no JSON: {error}.") from error
        if isinstance(found, list):
            yield from found
        else:
            yield found


def check(settings: Settings, name: str, threads: Sequence[str] | None) -> int:
    """Show which threads could go on; the exit code.

    Raises:
        UsageError: There is no such graph or thread.
        LogError: The log cannot be used.
    """
    with opened(settings) as log:
        saver = LogSaver(log)
        graph: Any = load_graph(name).with_checkpointer(saver)
        if threads is None:
            names = sorted(one for one in saver.reader.threads() if _is_ours(saver, graph, one))
        else:
            names = [find_graph_thread(log, one, settings.shown_db) for one in threads]
        fits = [graph.check_thread({"configurable": {"thread_id": one}}) for one in names]
    view = fit_view(name, graph.release.version, settings.shown_db, fits)
    Output(settings).show(view)
    return view.exit_code


def _is_ours(saver: LogSaver, graph: Any, thread: str) -> bool:
    if not is_there(saver.reader, thread):
        return False
    theirs = saver.reader.lenient().head(thread).graph
    return not theirs or not graph.plan.recorded or theirs == graph.plan.recorded


def _write(settings: Settings, schema: Any) -> None:
    Output(settings).out.write(json.dumps(schema, indent=2, ensure_ascii=True) + "\n")
