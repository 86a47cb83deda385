"""The graph as LangChain draws graphs (``langchain_core.runnables.graph.Graph``).

Edges are found by a dry run of supersteps over empty channels: which nodes wake which, when each writes what
it always writes and, once, what it may write. No node's code runs. LangChain is imported when a graph is
drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from dashflow._util.reserved import branch_to
from dashflow._util.sentinel import MISSING
from dashflow.channels.last_value import LastValueAfterFinish
from dashflow.constants import END, START
from dashflow.core.plan import Channels, GraphPlan, NodePlan, Reader
from dashflow.core.superstep import Live, Task, apply, next_tasks, revive
from dashflow.managed.base import Progress

if TYPE_CHECKING:
    from langchain_core.runnables.graph import Graph

_STEPS = 251
"""Supersteps after which a dry run ends: a graph that goes round in a circle never stops by itself."""


class Way(NamedTuple):
    """An edge that was found."""

    source: str
    target: str
    conditional: bool
    label: str


class Write(NamedTuple):
    """A write of a node that wakes others: always, or when something decides so."""

    channel: str
    conditional: bool
    label: str


class DryRun:
    """Supersteps without nodes' code.

    Args:
        plan: The graph.
        optional: For each node the writes it may make: channel (or END) and label.

    Attributes:
        ways: The edges.
        starts: The nodes of the first step.
        last: The nodes of the last step, with their writes.
    """

    def __init__(self, plan: GraphPlan, optional: Mapping[str, Sequence[tuple[str, str]]]) -> None:
        self.ways: set[Way] = set()
        self.starts: list[str] = []
        self.last: dict[str, set[Write]] = {}
        self._plan = _without_code(plan)
        self._bodies = {name: node.body for name, node in plan.nodes.items()}
        self._optional = optional
        self._tried: set[str] = set()
        self._sources: dict[str, set[Write]] = {}

    def run(self) -> None:
        """Find the edges."""
        plan = self._plan
        live = Live({}, {}, {}, None, -1)
        revive(plan, {}, live)
        given: list[tuple[str, Any]] = (
            [(plan.input_channel, {})] if isinstance(plan.input_channel, str) else []
        )
        apply(plan, live, [], given)
        tasks = next_tasks(plan, live)
        self.starts = [task.name for task in tasks]
        for _ in range(_STEPS):
            if not tasks:
                return
            self.last = {task.name: self._write(task) for task in tasks}
            self._sources.update(self.last)
            apply(plan, live, tasks)
            tasks = next_tasks(plan, live)
            for task in tasks:
                self._connect(task)

    def _write(self, task: Task) -> set[Write]:
        """Give a task its writes; returns them as ways to other nodes."""
        name = task.name
        writes: list[tuple[str, Any]] = list(self._bodies[name].writes(self._empty))
        optional = [Write(channel, True, label) for channel, label in self._optional.get(name, ())]
        self.ways.update(Way(name, END, True, write.label) for write in optional if write.channel == END)
        optional = [write for write in optional if write.channel != END]
        may = {write.channel for write in optional}
        always = {Write(channel, False, "") for channel, _ in writes if channel not in may}
        if name not in self._tried:
            self._tried.add(name)
            writes.extend((write.channel, None) for write in optional)
        task.writes = writes
        return always | set(optional)

    @property
    def _empty(self) -> Any:
        """What a node returns here: nothing, or an empty state where the state is one value."""
        root = self._plan.channels.get("__root__")
        return None if root is None else root.ValueType()

    def _connect(self, task: Task) -> None:
        """Note the edges that lead to a task of the next step."""
        woken = False
        for trigger in task.triggers:
            for source, writes in sorted(self._sources.items()):
                for write in sorted(write for write in writes if write.channel == trigger):
                    self.ways.add(Way(source, task.name, write.conditional, write.label))
                    if write in self.last.get(source, ()):
                        woken = True
                    else:
                        writes.discard(write)
        if not woken:  # by something that nobody declared: it may have been any of them
            self.ways.update(Way(source, task.name, True, "") for source in self.last)


def _without_code(plan: GraphPlan) -> GraphPlan:
    """The same nodes and channels; nodes read nothing, so that no user's class is made of nothing."""
    nodes = {
        name: NodePlan(name, triggers=node.triggers, reads=node.reads, read=_reader(node.reads), body=None)
        for name, node in plan.nodes.items()
    }
    return GraphPlan(
        plan.name,
        nodes=nodes,
        channels=plan.channels,
        managed={},
        input_channel=plan.input_channel,
        output=plan.output,
        stream=plan.stream,
    )


def _reader(reads: Sequence[str] | str) -> Reader:
    def read(channels: Channels, progress: Progress) -> Any:
        return MISSING if isinstance(reads, str) and not channels[reads].is_available() else None

    return read


def optional_writes(graph: Any) -> dict[str, list[tuple[str, str]]]:
    """For each node the writes it may make, and their labels: conditional edges, gotos, declared writes."""
    found: dict[str, list[tuple[str, str]]] = {}
    builder = getattr(graph, "builder", None)
    for name, node in graph.nodes.items():
        mine = found.setdefault(name, [])
        for writer in node.writers:
            for entry in getattr(writer, "writes", ()):
                mine.extend(
                    (channel, label or "") for channel, _, label in getattr(entry, "static", None) or ()
                )
        if builder is None:
            continue
        ends = getattr(builder.nodes.get(name), "ends", None) or ()
        labels = ends if isinstance(ends, Mapping) else dict.fromkeys(ends, "")
        mine.extend((_wakes(end), label) for end, label in labels.items())
        for branch in builder.branches.get(name, {}).values():
            mine.extend((_wakes(end), str(answer)) for answer, end in (branch.ends or {}).items())
    return found


def _wakes(node: str) -> str:
    return node if node == END else branch_to(node)


def inner_graphs(graph: Any, config: Any, xray: int | bool) -> dict[str, Graph]:
    """Drawings of the graphs in a graph's nodes; none without ``xray``."""
    if not xray:
        return {}
    return {name: inner.get_graph(config, xray=_deeper(xray)) for name, inner in graph.get_subgraphs()}


async def ainner_graphs(graph: Any, config: Any, xray: int | bool) -> dict[str, Graph]:
    """``inner_graphs`` for asyncio callers."""
    if not xray:
        return {}
    return {name: await inner.aget_graph(config, xray=_deeper(xray)) for name, inner in graph.get_subgraphs()}


def _deeper(xray: int | bool) -> int | bool:
    return xray if isinstance(xray, bool) or xray <= 0 else xray - 1


def draw(graph: Any, inner: Mapping[str, Graph]) -> Graph:
    """Draw a graph.

    Args:
        graph: What is drawn.
        inner: Drawings to put in the place of its nodes.
    """
    from langchain_core.runnables.graph import Graph

    dry = DryRun(graph.plan, optional_writes(graph))
    dry.run()
    drawing = Graph()
    for name, node in graph.nodes.items():
        drawing.add_node(node.bound, name, metadata=_metadata(graph, name, node) or None)
    if START not in graph.nodes:
        drawing.add_node(None, START)
        for name in dry.starts:
            _join(drawing, START, name)
    for way in sorted(dry.ways):
        label = way.label if way.label and way.label != way.target else None
        _join(drawing, way.source, way.target, label, way.conditional)
    for name, conditional in _ends(dry):
        _join(drawing, name, END, None, conditional)
    for name, other in inner.items():
        _replace(drawing, name, other)
    return drawing


def _metadata(graph: Any, name: str, node: Any) -> dict[str, Any]:
    """What a drawing says of a node."""
    metadata = dict(node.metadata or {})
    if any(
        isinstance(channel, LastValueAfterFinish) and key.split(":", 2)[-1] == name
        for key, channel in graph.channels.items()
    ):
        metadata["defer"] = True
    stops = [
        when
        for when, nodes in (("before", graph.interrupt_before_nodes), ("after", graph.interrupt_after_nodes))
        if name in nodes
    ]
    if stops:
        metadata["__interrupt"] = ",".join(stops)
    tools = getattr(node.action, "tools_by_name", None)
    if isinstance(tools, Mapping) and tools:
        metadata["__tools"] = list(tools)
    return metadata


def _ends(dry: DryRun) -> Iterable[tuple[str, bool]]:
    """The nodes that lead to the end without an edge that says so; and whether they may do otherwise."""
    sources = {way.source for way in dry.ways}
    dead_ends = {way.target for way in dry.ways if way.target != END} - sources
    if dead_ends:
        return [(name, False) for name in sorted(dead_ends)]
    if len(dry.last) == 1 and not any(way.target == END for way in dry.ways):
        return [(name, True) for name in dry.last]
    return []


def _join(
    drawing: Graph, source: str, target: str, label: str | None = None, conditional: bool = False
) -> None:
    """Add an edge, unless these two have one."""
    if any(edge.source == source and edge.target == target for edge in drawing.edges):
        return
    if target == END and END not in drawing.nodes:
        drawing.add_node(None, END)
    drawing.add_edge(drawing.nodes[source], drawing.nodes[target], label, conditional)


def _replace(drawing: Graph, name: str, inner: Graph) -> None:
    """Put the nodes of another drawing in the place of a node, without its start and end."""
    if len(inner.nodes) < 2 or name not in drawing.nodes or not inner.first_node() or not inner.last_node():
        return
    inner.trim_first_node()
    inner.trim_last_node()
    drawing.nodes.pop(name)
    first, last = drawing.extend(inner, prefix=name)
    assert first is not None
    assert last is not None
    drawing.edges = [
        edge.copy(
            source=last.id if edge.source == name else None, target=first.id if edge.target == name else None
        )
        for edge in drawing.edges
    ]
