"""Imports that lead nowhere, and all those that lead somewhere in ways of their own."""

import ast
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashflow.planner.executors.imports import Modules, imports, unresolved
from dashflow.planner.executors.requirements import declared, is_declaration, provides

pytestmark = pytest.mark.feature("EXEC-01")


def missing(
    path: str, text: str, files: tuple[str, ...] = (), needs: tuple[str, ...] = ()
) -> list[tuple[int, str]]:
    modules = Modules()
    for file in (path, *files):
        modules.add(file)
    found = list(imports(path, ast.parse(text)))
    return [(one.line, one.name) for one in unresolved(found, modules, set(needs))]


def test_what_is_nowhere_is_found_once_in_a_file():
    text = "import os, absent.deep\nfrom absent import x\ndef f():\n    import gone as g\n"
    assert missing("a.py", text) == [(1, "absent"), (4, "gone")]


def test_standard_also_where_another_version_has_it():
    text = "import os.path, asyncio, distutils, imp, tomllib, __future__, _thread, compression.zstd\n"
    assert missing("a.py", text) == []


def test_modules_of_the_project_wherever_they_are():
    files = (
        "src/shop/__init__.py",
        "src/shop/deep/x.py",
        "scripts/tool.py",
        "space/without/init.py",
        "fast.c",
    )
    text = "import shop.deep.x, tool, space, fast, a\n"
    assert missing("tests/a.py", text, files) == []


def test_relative_imports_must_lead_to_a_file():
    files = ("p/__init__.py", "p/q/__init__.py", "p/q/there.py", "p/up.py")
    text = (
        "from . import a\nfrom .there import x\nfrom ..up import y\nfrom .gone import z\nfrom ..no import w\n"
    )
    assert missing("p/q/a.py", text, files) == [(4, ".gone"), (5, "..no")]
    assert missing("a.py", "from ...outside import x\n") == []


def test_what_may_fail_or_is_for_the_type_checker_is_not_counted():
    text = """
try:
    import fast
except ImportError:
    import slow
try:
    import other
except (ValueError, ModuleNotFoundError):
    other = None
else:
    import counted
if TYPE_CHECKING:
    import types_only
elif typing.TYPE_CHECKING:
    import types_too
else:
    import run
try:
    import counted_too
except ValueError:
    pass
"""
    assert missing("a.py", text) == [(11, "counted"), (17, "run"), (19, "counted_too")]


@pytest.mark.parametrize(
    ("distribution", "module"),
    [
        ("PyYAML", "yaml"),
        ("Pillow", "PIL"),
        ("scikit-learn", "sklearn"),
        ("python-dateutil", "dateutil"),
        ("beautifulsoup4", "bs4"),
        ("ruamel.yaml", "ruamel"),
        ("google-cloud-storage", "google"),
        ("zope.interface", "zope"),
        ("pyserial", "serial"),
        ("typing-extensions", "typing_extensions"),
        ("redis-py", "redis"),
        ("setuptools", "pkg_resources"),
    ],
)
def test_distributions_with_other_names(distribution, module):
    names = declared("requirements.txt", f"{distribution}>=1\n")
    assert provides(names, module)
    assert not provides(names, "unrelated")


@pytest.mark.parametrize(
    ("path", "text", "names"),
    [
        (
            "requirements-dev.txt",
            "# note\n-r other.txt\nA.b[x]>=1 ; python_version > '3'\nc @ https://x\n",
            {"a_b", "c"},
        ),
        ("requirements/base.in", "one\n-e git+https://x#egg=two\n", {"one", "two"}),
        (
            "pyproject.toml",
            """[build-system]
requires = ["hatchling"]
[project]
name = "me"
dependencies = ["a>=1"]
optional-dependencies = {x = ["b", "c[d]"]}
[dependency-groups]
dev = ["e", {include-group = "x"}]
[tool.poetry]
dependencies = {python = "^3", f = "*"}
[tool.poetry.group.test.dependencies]
g = {version = "1"}
""",
            {"hatchling", "me", "a", "b", "c", "e", "python", "f", "g"},
        ),
        (
            "setup.cfg",
            "[options]\ninstall_requires =\n    a>1\n    b\n[options.extras_require]\nx = c; d\n",
            {"a", "b", "c", "d"},
        ),
        ("tox.ini", "[testenv]\ndeps =\n    pytest\n    py: mock\n", {"pytest", "mock"}),
        ("Pipfile", '[packages]\na = "*"\n[dev-packages]\nb = "*"\n', {"a", "b"}),
    ],
)
def test_where_projects_declare_what_they_need(path, text, names):
    assert is_declaration(path)
    assert declared(path, text) == names


def test_a_setup_script_is_read_and_not_run():
    text = (
        "NEEDS = ['a>=1']\nexit('ran')\nsetup(install_requires=NEEDS + ['b'], extras_require={'x': ['c']})\n"
    )
    assert {"a", "b", "c"} <= declared("setup.py", text)


@given(
    st.sampled_from(["pyproject.toml", "setup.cfg", "setup.py", "tox.ini", "Pipfile", "requirements.txt"]),
    st.text() | st.text("[]=\"'\n,{}ab.#- "),
)
def test_any_text_may_stand_in_a_declaration(path, text):
    assert all(isinstance(name, str) for name in declared(path, text))


def test_declarations_of_odd_shapes_are_no_error():
    assert declared("pyproject.toml", "project = 1\ntool = []\n[dependency-groups]\na = 3\n") == set()
    assert declared("setup.py", "(" * 300 + ")" * 300) == set()
    assert not is_declaration("src/notes.txt")
    assert "os" in sys.stdlib_module_names
