"""``python -m dashflow.compat program.py``: runs a program as ``python program.py`` would, on DashFlow.

Knows how programs are started; what an import gives is the finder's.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, ModuleType

from dashflow.compat import install
from dashflow.compat.children import inherit
from dashflow.errors import UsageError

USAGE = """\
usage: python -m dashflow.compat [--keep SUBPACKAGE]... (program.py | -m module) [argument]...

Runs a program that was written for LangGraph: `import langgraph` gives DashFlow.

  --keep SUBPACKAGE  leave this one to its installed distribution, e.g. langgraph.checkpoint.sqlite
"""


def _module(name: str) -> tuple[ModuleSpec, CodeType]:
    """What ``python -m name`` would run."""
    try:
        spec = find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = find_spec(f"{name}.__main__")
    except ModuleNotFoundError as missing:
        if missing.name is None or not f"{name}.".startswith(f"{missing.name}."):
            raise
        spec = None
    code = getattr(spec.loader, "get_code", lambda _: None)(spec.name) if spec is not None else None
    if spec is None or code is None:
        raise UsageError(f"No module {name!r} that can be run. Is it installed, or below this folder?")
    return spec, code


def _main(path: str | None, spec: ModuleSpec | None, code: CodeType) -> None:
    """Run the code as ``__main__``, and leave it there: threads and pickles outlive the last line."""
    main = ModuleType("__main__")
    main.__spec__ = spec
    main.__loader__ = spec.loader if spec is not None else None
    main.__package__ = spec.parent if spec is not None else None
    if path is not None:
        main.__file__ = path
    sys.modules["__main__"] = main
    exec(code, main.__dict__)


def run(arguments: Sequence[str]) -> None:
    """Install the alias and run the program that the arguments name.

    Raises:
        UsageError: There is no such program.
    """
    rest, keep = list(arguments), []
    while rest and rest[0] == "--keep" and len(rest) > 1:
        keep.append(rest[1])
        del rest[:2]
    if not rest or rest[0] in ("-h", "--help") or rest == ["-m"]:
        raise UsageError(USAGE)
    install(keep=keep)
    inherit(keep)
    if rest[0] == "-m":
        spec, code = _module(rest[1])
        sys.argv = [spec.origin or rest[1], *rest[2:]]
        _main(spec.origin, spec, code)
        return
    program = Path(rest[0])
    if not program.is_file():
        raise UsageError(f"No program {rest[0]!r}. Give the path of a Python file, or -m and a module.")
    with io.open_code(str(program.resolve())) as file:
        code = compile(file.read(), rest[0], "exec", dont_inherit=True)
    if not sys.flags.safe_path:
        sys.path[0] = str(program.resolve().parent)
    sys.argv = rest
    _main(os.path.abspath(rest[0]), None, code)


if __name__ == "__main__":
    try:
        run(sys.argv[1:])
    except UsageError as error:
        if sys.modules["__main__"].__dict__.get("run") is not run:
            raise  # The program's own.
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from None
