"""Errors of what moves between logs, files and other programs' databases."""

from __future__ import annotations

from typing import Any

from dashflow.errors.log import LogError


class NotLangGraphError(LogError):
    """The database is none that LangGraph's savers or stores wrote; nothing was brought over."""

    code = "NOT_LANGGRAPH"

    def __init__(self, where: str, found: str) -> None:
        super().__init__(
            f"{where!r} is no database that LangGraph's savers wrote: {found}. Nothing was brought over. "
            "Name the file or DSN that SqliteSaver or PostgresSaver was given.",
            where=where,
            found=found,
        )


class DamagedFileError(LogError):
    """A file that threads or events come from is damaged or ends too early; nothing was brought over.

    Attributes:
        line: The line of the file, from 1; 0 where it has none.
    """

    code = "DAMAGED_FILE"

    def __init__(self, where: str, problem: str, line: int = 0) -> None:
        place = f"{where!r}, line {line}," if line else f"{where!r}"
        super().__init__(
            f"{place} is damaged: {problem}. Nothing was brought over. Take another copy of it.",
            where=where,
            problem=problem,
            line=line,
        )
        self.line = line


class NotAnExportError(LogError):
    """The file is neither an export nor a backup of an event log."""

    code = "NOT_AN_EXPORT"

    def __init__(self, where: str, found: str) -> None:
        super().__init__(
            f"{where!r} is no export or backup of an event log: {found}. Nothing was brought over.",
            where=where,
            found=found,
        )


class ExportFormatError(LogError):
    """The export or backup has a format newer than this program knows."""

    code = "EXPORT_FORMAT"

    def __init__(self, where: str, found: int, known: int) -> None:
        super().__init__(
            f"{where!r}, line 1, has export format {found}; this DashFlow knows formats up to {known}. "
            "Nothing was brought over. Upgrade DashFlow to read it.",
            where=where,
            found=found,
            known=known,
        )


class DifferentHistoryError(LogError):
    """A stream that is to be brought over is there already, with other events; nothing was brought over."""

    code = "DIFFERENT_HISTORY"

    def __init__(self, where: str, stream: str, version: int) -> None:
        super().__init__(
            f"The log at {where!r} has another event {version} in {stream!r} than the file. Nothing was "
            "brought over. Bring the file into a new log, or leave this stream out of it.",
            where=where,
            stream=stream,
            version=version,
        )


class ImportStoppedError(LogError):
    """An import broke off in the middle; what it had recorded is there, and it can be repeated.

    Attributes:
        report: How far it came.
    """

    code = "IMPORT_STOPPED"

    def __init__(self, where: str, cause: LogError, report: Any) -> None:
        super().__init__(
            f"The import of {where!r} broke off: {cause} Brought over so far: "
            f"{report.checkpoints} checkpoints and {report.writes} writes of {report.threads} threads. "
            "Repeat it to go on.",
            where=where,
            cause=cause.code,
        )
        self.report = report
