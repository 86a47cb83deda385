"""Distributions that a project declares: pyproject, requirements, setup files. Executes none of them."""

from __future__ import annotations

import ast
import configparser
import re
import tomllib
from collections.abc import Iterator
from typing import Any, Final

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_EGG = re.compile(r"#egg=([A-Za-z0-9._-]+)")

_MODULES: Final[dict[str, tuple[str, ...]]] = {
    "attrs": ("attr", "attrs"),
    "beautifulsoup4": ("bs4",),
    "biopython": ("bio",),
    "djangorestframework": ("rest_framework",),
    "dnspython": ("dns",),
    "gitpython": ("git",),
    "grpcio": ("grpc",),
    "msgpack_python": ("msgpack",),
    "mysqlclient": ("mysqldb",),
    "opencv_python": ("cv2",),
    "opencv_python_headless": ("cv2",),
    "pillow": ("pil",),
    "protobuf": ("google",),
    "psycopg2_binary": ("psycopg2",),
    "pycryptodome": ("crypto",),
    "pyjwt": ("jwt",),
    "pymupdf": ("fitz",),
    "pyopenssl": ("openssl",),
    "pyserial": ("serial",),
    "pytest": ("pytest", "_pytest"),
    "python_dateutil": ("dateutil",),
    "python_dotenv": ("dotenv",),
    "python_jose": ("jose",),
    "python_magic": ("magic",),
    "python_multipart": ("multipart",),
    "pywin32": ("win32api", "win32con", "pythoncom"),
    "pyyaml": ("yaml", "_yaml"),
    "pyzmq": ("zmq",),
    "scikit_image": ("skimage",),
    "scikit_learn": ("sklearn",),
    "setuptools": ("setuptools", "pkg_resources"),
    "typing_extensions": ("typing_extensions",),
}
"""Modules of well-known distributions that are not named after them; names as ``normal`` gives them."""


def normal(name: str) -> str:
    """A distribution's or module's name, lower case, with ``_`` for every run of ``-``, ``_`` and ``.``."""
    return re.sub(r"[-_.]+", "_", name).lower()


def is_declaration(path: str) -> bool:
    """Whether a file (path relative to the folder) may declare what the project needs."""
    folder, _, name = path.rpartition("/")
    if name in ("pyproject.toml", "setup.cfg", "setup.py", "Pipfile", "tox.ini"):
        return True
    inside = folder.rpartition("/")[2] == "requirements"
    return name.endswith((".txt", ".in")) and (inside or "requirements" in name or "constraints" in name)


def declared(path: str, text: str) -> set[str]:
    """Normal names of the distributions that one declaring file names; none when it cannot be understood."""
    name = path.rpartition("/")[2]
    try:
        if name in ("pyproject.toml", "Pipfile"):
            lines = _toml(tomllib.loads(text))
        elif name in ("setup.cfg", "tox.ini"):
            lines = _ini(text)
        elif name == "setup.py":
            lines = _setup(text)
        else:
            lines = (line for line in text.splitlines() if not line.lstrip().startswith(("#", "-")))
            lines = _with_eggs(lines, text)
        return {normal(found[1]) for line in lines if (found := _NAME.match(line))}
    except (ValueError, SyntaxError, RecursionError, MemoryError, configparser.Error):
        return set()


def provides(distributions: set[str], module: str) -> bool:
    """Whether one of the distributions provides a top-level module, by its name or by what is known of it."""
    wanted = normal(module)
    for name in distributions:
        bare = name.removeprefix("python_").removeprefix("py_").removesuffix("_python").removesuffix("_py")
        if wanted in _MODULES.get(name, ()) or wanted in (name, bare) or name.startswith(f"{wanted}_"):
            return True
        if name.startswith("py") and wanted == name[2:]:
            return True
    return False


def _with_eggs(lines: Iterator[str], text: str) -> Iterator[str]:
    yield from lines
    yield from _EGG.findall(text)


def _toml(data: dict[str, Any]) -> Iterator[str]:
    """Requirements of a pyproject or a Pipfile: of project, build, groups, Poetry, PDM and uv."""
    project = _table(data.get("project"))
    yield from _texts(project.get("name"))
    yield from _texts(project.get("dependencies"))
    yield from _texts(list(_table(project.get("optional-dependencies")).values()))
    yield from _texts(_table(data.get("build-system")).get("requires"))
    yield from _texts(list(_table(data.get("dependency-groups")).values()))
    for section in ("packages", "dev-packages"):
        yield from _table(data.get(section))
    tool = _table(data.get("tool"))
    yield from _texts(_table(tool.get("uv")).get("dev-dependencies"))
    yield from _texts(list(_table(_table(tool.get("pdm")).get("dev-dependencies")).values()))
    poetry = _table(tool.get("poetry"))
    yield from _texts(poetry.get("name"))
    for group in (poetry, *(_table(group) for group in _table(poetry.get("group")).values())):
        yield from _table(group.get("dependencies"))
        yield from _table(group.get("dev-dependencies"))


def _table(data: object) -> dict[str, Any]:
    return data if isinstance(data, dict) else {}


def _texts(data: object) -> Iterator[str]:
    """The texts in a value and in lists inside it."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, list):
        for item in data:
            yield from _texts(item)


def _ini(text: str) -> Iterator[str]:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read_string(text)
    for section in parser.sections():
        for key, value in parser.items(section):
            wanted = key in ("name", "install_requires", "tests_require", "setup_requires", "deps")
            if wanted or section == "options.extras_require":
                yield from (line.rpartition(": ")[2] for line in re.split(r"[\n;]", value))


def _setup(text: str) -> Iterator[str]:
    """Every text in a setup.py that could be a requirement: better one too many than a wrong finding."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 200:
            yield from node.value.splitlines()
