"""Random programs and scripts."""

from typing import Any

from hypothesis import strategies as st

NAMES = "ABCDE"


@st.composite
def programs(draw: Any, depth: int = 1, prefix: str = "") -> dict:
    """A program: edges lead forward only, but for nodes that go back as long as ``n`` is small."""
    names = [prefix + letter for letter in NAMES[: draw(st.integers(1, 5 if depth else 2))]]
    nodes = [draw(_node(depth, names, number)) for number in range(len(names))]
    sent = {node["route"]["send"] for node in nodes if "send" in node.get("route", ())}
    for node in nodes:
        if node["name"] in sent and "back" in node:  # a packet has no ``n``, so it would go back for ever
            node["to"] = node.pop("back")[:0]
    start = draw(st.lists(st.sampled_from(names[:2]), min_size=1, max_size=2, unique=True))
    joins = []
    if len(names) > 2 and draw(st.booleans()):
        sources = draw(st.lists(st.sampled_from(names[:-1]), min_size=2, max_size=3, unique=True))
        joins.append([sorted(sources), names[-1]])
    return {"name": f"p{prefix}", "nodes": nodes, "start": sorted(start), "joins": joins}


@st.composite
def _node(draw: Any, depth: int, names: list, number: int) -> dict:
    later = names[number + 1 :]
    node: dict = {
        "name": names[number],
        "adds": draw(st.integers(0, 2)),
        "last": draw(st.integers(0, 9)) == 0,
    }
    node["asks"] = draw(st.sampled_from([0, 0, 0, 0, 1, 2]))
    if depth and draw(st.integers(0, 5)) == 0:
        node["inner"] = draw(programs(depth - 1, f"{names[number]}."))
    kind = draw(st.sampled_from(["edges", "edges", "fork", "send", "back"])) if later or number else "edges"
    if kind == "back" and number:
        node["back"] = [draw(st.sampled_from(names[: number + 1]))]
        node["adds"] = max(node["adds"], 1)
    elif kind == "send" and later:
        node["route"] = {"send": draw(st.sampled_from(later)), "many": draw(st.integers(1, 3))}
    elif kind == "fork" and later:
        ends = [*later, "END"]
        node["route"] = {"odd": draw(st.sampled_from(ends)), "even": draw(st.sampled_from(ends))}
    elif later:
        node["to"] = sorted(draw(st.lists(st.sampled_from(later), max_size=2, unique=True)))
    return node


def scripts(program: dict, *, edits: bool = True) -> Any:
    """What a caller does with a thread: an input first, then anything."""
    names = [node["name"] for node in program["nodes"]]
    before = st.one_of(st.just([]), st.just([]), st.lists(st.sampled_from(names), max_size=1))
    given = st.fixed_dictionaries({"do": st.just("input"), "n": st.integers(0, 2), "before": before})
    answer = st.fixed_dictionaries({"do": st.just("answer"), "one": st.booleans()})
    edit = st.fixed_dictionaries(
        {"do": st.just("edit"), "back": st.integers(0, 3), "as_node": st.sampled_from(names)}
    )
    others = [given, answer, answer, answer, st.just({"do": "go on"}), *([edit] if edits else [])]
    return st.tuples(given, st.lists(st.one_of(others), max_size=6)).map(lambda ops: [ops[0], *ops[1]])


@st.composite
def cases(draw: Any, *, edits: bool = True) -> tuple:
    """A program and a script for it."""
    program = draw(programs())
    return program, draw(scripts(program, edits=edits))
