"""Functions of a file: their length against a naive counter, their complexity against ruff's."""

import ast
import json
import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashflow.planner.executors.functions import enclosing, functions

pytestmark = pytest.mark.feature("EXEC-01")

# A program as a tree: plain statements, blocks, functions and classes, each with what is inside.
STATEMENTS = [
    "x = 1",
    "y = [a if a else b for a in x if a]",
    "print(\n    x,\n    y,\n)",
    "'''text\ntext'''",
    "# TODO",
]
BLOCKS = ["if x:", "for a in x:", "while x:", "with x:"]
PROGRAMS = st.recursive(
    st.sampled_from(STATEMENTS),
    lambda inner: st.tuples(
        st.sampled_from([*BLOCKS, "try", "if-else", "match", "def", "async def", "class", "@decorated"]),
        st.lists(inner, min_size=1, max_size=4),
    ),
    max_leaves=25,
)


class Writer:
    """Writes a program down and notes, line by line, where its functions begin and end."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.found: list[tuple[int, str, int]] = []
        self.names = 0

    def write(self, program, depth=0, scope=""):
        if isinstance(program, str):
            lines = program.split("\n")
            if program.startswith("'''"):
                self.lines += ["    " * depth + lines[0], *lines[1:]]
            else:
                self.lines += ["    " * depth + line for line in lines]
            if program.startswith("#"):
                self.lines.append("    " * depth + "pass")
            return
        kind, inner = program
        if kind in ("def", "async def", "class", "@decorated"):
            self.named(kind, inner, depth, scope)
            return
        heads = {"try": ["try:", "except E:", "else:", "finally:"], "if-else": ["if x:", "elif y:", "else:"]}
        heads["match"] = ["case 1:", "case 2 if x:", "case _:"]
        if kind == "match":
            self.lines.append("    " * depth + "match x:")
            depth += 1
        for head in heads.get(kind, [kind]):
            self.lines.append("    " * depth + head)
            for one in inner:
                self.write(one, depth + 1, scope)

    def named(self, kind, inner, depth, scope):
        self.names += 1
        name = f"{scope}n{self.names}"
        if kind == "@decorated":
            self.lines += ["    " * depth + line for line in ("@wrap(", "    1,", ")", "@plain")]
        word = "class" if kind == "class" else "async def" if kind == "async def" else "def"
        self.lines.append("    " * depth + f"{word} n{self.names}{'' if kind == 'class' else '()'}:")
        begin = len(self.lines)
        for one in inner:
            self.write(one, depth + 1, f"{name}.")
        if kind != "class":
            self.found.append((begin, name, len(self.lines) - begin + 1))


@given(st.lists(PROGRAMS, min_size=1, max_size=4))
def test_every_function_has_its_name_and_length(programs):
    writer = Writer()
    for program in programs:
        writer.write(program)
    found = functions(ast.parse("\n".join(writer.lines)))
    assert [(one.line, one.name, one.length) for one in found] == sorted(writer.found)
    assert all(first.line < second.line for first, second in pairwise(found))
    for line in range(1, len(writer.lines) + 1):
        around = [one for one in sorted(writer.found) if one[0] <= line < one[0] + one[2]]
        assert enclosing(found, line) == (around[-1][1] if around else "")


def test_what_counts_and_what_does_not():
    text = '''
@decorator
@another(
    1
)
def plain(): pass

class Outer:
    """text"""
    async def method(self):
        def inner():
            return lambda: (
                1
            )
        return inner
    class Inner:
        def method(self): ...

if x:
    def plain():
        return """
        lines
        """
        # a comment behind the end
'''
    found = [(one.name, one.line, one.length) for one in functions(ast.parse(text))]
    assert found == [
        ("plain", 6, 1),
        ("Outer.method", 10, 6),
        ("Outer.method.inner", 11, 4),
        ("Outer.Inner.method", 17, 1),
        ("plain", 20, 4),
    ]


def by_ruff(text: str) -> list[tuple[int, int]]:
    """Line and complexity of every function, as ruff counts."""
    settings = ["--isolated", "--select", "C901", "--target-version", "py311", "--output-format", "json"]
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", *settings, "--config", "lint.mccabe.max-complexity=0", "-"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    found = json.loads(done.stdout)
    return sorted(
        (one["location"]["row"], int(one["message"].partition("(")[2].partition(" ")[0])) for one in found
    )


def test_complexity_is_what_ruff_says():
    """Many generated programs in one call, and the forms that generation does not make."""
    writer = Writer()
    forms = """
async def f(x):
    async for a in x:
        async with a: pass
    else:
        if a and b or c: return 1 if x else 2
    try: pass
    except* A: pass
    try: pass
    finally:
        while x: pass
        else:
            if y: pass
    match x:
        case 1 | 2: pass
        case [a, *_] if a: pass
        case y: pass
    match x:
        case {"k": 1}: pass
    assert x and y
"""
    collected: list[object] = []

    @given(PROGRAMS)
    def collect(program):
        collected.append(program)

    collect()
    for program in collected:
        writer.write(program)
    text = "\n".join(writer.lines) + forms
    ours = sorted((one.line, one.complexity) for one in functions(ast.parse(text)))
    assert ours == by_ruff(text)
    assert len(ours) > 20


def test_a_chain_of_thousands_of_branches_is_no_trouble():
    text = "def f(x):\n    if x == 0: return 0\n" + "".join(
        f"    elif x == {n}: return {n}\n" for n in range(1, 900)
    )
    (found,) = functions(ast.parse(text))
    assert (found.complexity, found.length) == (901, 901)
