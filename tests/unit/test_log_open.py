"""An address leads to its backend; what no backend serves is refused in words."""

from pathlib import Path

import pytest

from dashflow.errors import UsageError
from dashflow.log.memory import MemoryLog
from dashflow.log.open import open_log
from dashflow.log.sqlite import SqliteLog
from tests.postgres import Place


@pytest.mark.feature("LOG-01")
def test_addresses(tmp_path: Path) -> None:
    for where, kind, name in [
        (tmp_path / "a" / "log.db", SqliteLog, str(tmp_path / "a" / "log.db")),
        (str(tmp_path / "b.db"), SqliteLog, str(tmp_path / "b.db")),
        (":memory:", SqliteLog, ":memory:"),
        ("memory://", MemoryLog, "memory://"),
    ]:
        log = open_log(where)
        assert isinstance(log, kind)
        assert log.where == name
        log.close()


@pytest.mark.parametrize("where", ["mysql://u:secret@h/db", "redis://h:1", ""])
def test_what_nobody_serves(where: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_log(where)
    assert "secret" not in str(caught.value)
    assert "':memory:'" in str(caught.value)


def test_postgresql_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashflow.log.open.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'dashflow\[postgres\]'") as caught:
        open_log("postgresql://u:secret@h/db")
    assert "secret" not in str(caught.value)


@pytest.mark.feature("PERSIST-001")
def test_a_postgresql_address(postgres: Place) -> None:
    log = open_log(postgres.log)
    assert log.where.startswith("postgresql://")
    log.close()
