"""Waiting for a module that somebody else loads."""

import importlib
import sys

import pytest

from dashflow._util import onload
from dashflow._util.onload import when_loaded


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The name of a module that can be imported and is not."""
    name = f"late_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text("value = 1\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)
    onload._waiting.actions.pop(name, None)


def test_the_action_follows_the_import_once(module):
    seen = []
    when_loaded(module, lambda loaded: seen.append(("first", loaded.value)))
    when_loaded(module, lambda loaded: seen.append(("second", loaded.__spec__.loader is loaded.__loader__)))
    assert seen == []
    found = importlib.import_module(module)
    importlib.import_module(module)
    assert seen == [("first", 1), ("second", True)]
    assert type(found.__loader__).__name__ == "SourceFileLoader"
    when_loaded(module, lambda loaded: seen.append(("late", loaded is found)))
    assert seen[-1] == ("late", True)


def test_a_module_that_is_not_there_stays_so(module):
    when_loaded(f"{module}.inner", lambda loaded: None)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(f"{module}.inner")
