"""What the documentation says is true: examples run, links lead somewhere, commands and targets exist."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

from dashflow.cli.app import PROGRAM, cli
from dashflow.cli.exits import Exit

pytestmark = pytest.mark.feature("CI-01")

FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```[ ]*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
NOT_RUN = re.compile(r"<!-- not run: .+ -->\s*$")
SEPARATOR = "\x1e"
ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RUNNABLE = [
    page.relative_to(ROOT).as_posix() for page in PAGES if "```python" in page.read_text(encoding="utf-8")
]


def blocks(text):
    """Fenced blocks: language, content, and the first line's number counted from 0."""
    for match in FENCE.finditer(text):
        yield match[1], match[2], text.count("\n", 0, match.start()) + 1, text[: match.start()]


def without_code(text):
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", text))


def anchors(text):
    """Ids of a page's headings, as GitHub and MkDocs make them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    plain = (re.sub(r"[`*_]|\[|\]\([^)]*\)", "", heading) for heading in headings)
    return {re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in plain}


def shell_lines(text):
    """Commands of the page's shell blocks, continuation lines joined."""
    for language, code, _, _ in blocks(text):
        if language in {"bash", "sh", "console", "shell"}:
            for line in code.replace("\\\n", " ").splitlines():
                yield line.strip().removeprefix("$ ")


def make_targets(tree):
    return set(re.findall(r"^([a-z]+):.*##", (tree.root / "Makefile").read_text(), re.MULTILINE))


def as_program(text):
    """A page's Python blocks as one program whose line numbers are the page's, and the expected outputs."""
    lines = [""] * (text.count("\n") + 2)
    outputs = []
    for language, code, start, before in blocks(text):
        if language == "python" and not NOT_RUN.search(before):
            lines[start : start + code.count("\n")] = code.splitlines()
            lines[start + code.count("\n")] = f"print({SEPARATOR!r}, end='')"
            outputs.append(None)
        elif language == "output" and outputs:
            outputs[-1] = code
    return "\n".join(lines), outputs


@pytest.mark.parametrize("page", RUNNABLE)
def test_python_examples_run_and_print_what_the_page_says(page, tmp_path):
    program, expected = as_program((ROOT / page).read_text(encoding="utf-8"))
    script = tmp_path / "page.py"
    script.write_text(program, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", script.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    printed = done.stdout.split(SEPARATOR)
    shown = [text for text, wanted in zip(printed, expected, strict=False) if wanted is not None]
    assert shown == [wanted for wanted in expected if wanted is not None]


def test_every_link_leads_somewhere(tree):
    broken = []
    for page in tree.pages():
        text = page.read_text(encoding="utf-8")
        for link in LINK.findall(without_code(text)):
            if "://" in link or link.startswith("mailto:"):
                continue
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
                broken.append(f"{page.relative_to(tree.root)}: {link}")
    assert broken == []


def test_pages_outside_the_site_are_not_linked_from_inside(tree):
    docs = tree.root / "docs"
    outside = [
        f"{page.relative_to(tree.root)}: {link}"
        for page in tree.pages()
        if page.is_relative_to(docs)
        for link in LINK.findall(without_code(page.read_text(encoding="utf-8")))
        if "://" not in link and not (page.parent / link.partition("#")[0]).resolve().is_relative_to(docs)
    ]
    assert outside == []


def test_every_page_is_in_the_navigation(tree):
    navigation = (tree.root / "mkdocs.yml").read_text(encoding="utf-8")
    docs = tree.root / "docs"
    pages = [page.relative_to(docs).as_posix() for page in tree.pages() if page.is_relative_to(docs)]
    assert [page for page in pages if page not in navigation] == []


@pytest.mark.feature("DX-002")
def test_every_command_line_in_the_pages_is_accepted(tree):
    refused = []
    for page in tree.pages():
        for line in shell_lines(page.read_text(encoding="utf-8")):
            words = shlex.split(line.partition(" | ")[0], comments=True)
            if words and words[0].removeprefix(".venv/bin/") == PROGRAM:
                try:
                    parse(words[1:])
                except click.ClickException as error:
                    refused.append(f"{page.relative_to(tree.root)}: {line}: {error.format_message()}")
    assert refused == []


def parse(words):
    """Parse a command line as the program would, without running anything."""
    group = click.Context(cli, info_name=PROGRAM, resilient_parsing=False)
    _, rest, _ = cli.make_parser(group).parse_args(list(words))
    if rest:
        name, command, arguments = cli.resolve_command(group, rest)
        command.make_parser(click.Context(command, group, name)).parse_args(list(arguments))


@pytest.mark.feature("DX-002")
def test_every_command_and_exit_code_is_documented(tree):
    page = (tree.root / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    names = cli.list_commands(click.Context(cli))
    assert [name for name in names if f"## {PROGRAM} {name}\n" not in page] == []
    assert [code for code in Exit if f"\n| {int(code)} | {code.name.lower()} |" not in page] == []


def test_every_make_target_in_the_pages_exists(tree):
    named = {
        (page.name, target)
        for page in tree.pages()
        for target in re.findall(r"(?:^|`)make ([a-z]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert {target for _, target in named} - make_targets(tree) == set()


def test_every_make_target_is_documented(tree):
    text = (tree.root / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert {target for target in make_targets(tree) if f"`make {target}`" not in text} == set()


def test_the_features_table_names_places_that_exist(tree):
    table = tomllib.loads((tree.root / "docs" / "features.toml").read_text(encoding="utf-8"))
    rows = [row for section in table["section"] for row in section["rows"].values() if isinstance(row, dict)]
    places = [tree.root / row["code"] for row in rows if "code" in row]
    places += [tree.root / "docs" / row["guide"] for row in rows if "guide" in row]
    assert [str(place) for place in places if not place.exists()] == []


@pytest.mark.parametrize("script", ["features.py", "guarantees.py", "cli_reference.py", "event_reference.py"])
def test_generated_pages_are_current(tree, script):
    script = tree.root / "scripts" / script
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
