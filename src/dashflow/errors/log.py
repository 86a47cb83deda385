"""Errors of the event log."""

from __future__ import annotations

from typing import Any

from dashflow.errors.base import DashFlowError


class LogError(DashFlowError):
    """Base of everything the event log raises."""

    code = "LOG"


class VersionConflictError(LogError):
    """The stream is not at the version the writer expected: somebody appended first."""

    code = "VERSION_CONFLICT"

    def __init__(self, stream: str, expected: int, actual: int) -> None:
        super().__init__(
            f"Stream {stream!r} is at version {actual}, not {expected}: another writer appended "
            "first. Read the new events and decide again.",
            stream=stream,
            expected=expected,
            actual=actual,
        )


class OwnershipConflictError(LogError):
    """Another owner that is alive runs this stream; nothing was written."""

    code = "OWNED"

    def __init__(self, stream: str, owner: str) -> None:
        super().__init__(
            f"{stream!r} is being run by {owner} at this moment; nothing was done. Wait for it, "
            "or stop that process and resume.",
            stream=stream,
            owner=owner,
        )


class FencedError(LogError):
    """This owner's lease ended and a later owner has the stream; nothing was written."""

    code = "FENCED"

    def __init__(self, stream: str, epoch: int, current: int) -> None:
        super().__init__(
            f"Stream {stream!r} has a later owner (epoch {current}, ours {epoch}); this writer "
            "was away longer than its lease and may not commit. The later owner goes on.",
            stream=stream,
            epoch=epoch,
            current=current,
        )


class SupersededError(FencedError):
    """A newer input took this run's place; nothing was written."""

    code = "SUPERSEDED"

    def __init__(self, stream: str, epoch: int, current: int) -> None:
        super().__init__(stream, epoch, current)
        self.args = (
            f"A newer input took the place of this run of {stream!r} (multitask_strategy 'interrupt' or "
            "'rollback'). What it had not recorded by then does not count; the newer run goes on.",
        )


class DuplicateEventError(LogError):
    """An event's id is that of another event of the log; nothing was written."""

    code = "DUPLICATE_EVENT"

    def __init__(self, stream: str, event_id: str, used_by: str | None) -> None:
        super().__init__(
            f"Event {event_id} for stream {stream!r} has the id of another event of "
            f"{used_by or 'the same append'!r}; nothing was written. Give every event an id of its own.",
            stream=stream,
            event_id=event_id,
            used_by=used_by,
        )


class NotALogError(LogError):
    """The file exists and is not a DashFlow log."""

    code = "NOT_A_LOG"

    def __init__(self, path: str, found: str) -> None:
        super().__init__(
            f"{path!r} is not a DashFlow log: {found}. Nothing was changed. Name another file "
            "with --db, or move this one away.",
            path=path,
            found=found,
        )


class LogFormatError(LogError):
    """The log was written in a format newer than this program knows."""

    code = "LOG_FORMAT"

    def __init__(self, path: str, found: int, known: int) -> None:
        super().__init__(
            f"{path!r} has log format {found}; this DashFlow knows formats up to {known}. "
            "Nothing was changed. Upgrade DashFlow to open it.",
            path=path,
            found=found,
            known=known,
        )


class CorruptLogError(LogError):
    """What is stored is not what was written: the base of all such errors, and the one for a log as a whole.

    Attributes:
        last_good: On reading a thread, what it was at its last checkpoint before the damage: a
            ``StateSnapshot``; None where there is none, or nobody looked.
    """

    code = "CORRUPT_LOG"
    last_good: Any = None

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(
            f"The log at {where!r} is damaged: {problem}. Nothing was changed. Ask what is left: "
            "dashflow doctor",
            where=where,
            problem=problem,
        )


class CorruptStreamError(CorruptLogError):
    """What the log says of a stream as a whole does not match its checksum, or its events."""

    code = "CORRUPT_STREAM"

    def __init__(self, where: str, stream: str, problem: str) -> None:
        LogError.__init__(
            self,
            f"Stream {stream!r} of the log at {where!r} is damaged: {problem}. Nothing was changed. Ask what "
            "is left: dashflow doctor",
            where=where,
            stream=stream,
            problem=problem,
        )


class CorruptEventError(CorruptLogError):
    """A stored event does not match its checksum, is missing, or cannot be decoded."""

    code = "CORRUPT_EVENT"

    def __init__(self, stream: str, version: int, problem: str, *, where: str = "") -> None:
        of = f" of the log at {where!r}" if where else ""
        LogError.__init__(
            self,
            f"Event {version} of stream {stream!r}{of} is damaged: {problem}. Events before it are "
            "good; restore the file from a backup, or go on from version "
            f"{max(version - 1, 0)}: dashflow doctor",
            where=where,
            stream=stream,
            version=version,
            problem=problem,
        )


class MissingBlobError(CorruptLogError):
    """An event names a large value that the log does not have."""

    code = "MISSING_BLOB"

    def __init__(self, where: str, key: bytes, *, stream: str = "", version: int = 0) -> None:
        LogError.__init__(
            self,
            f"The log at {where!r} has no value with the key {key.hex()}, which "
            f"{_event_named(stream, version)} needs: the log is damaged, or was copied in part. Restore it "
            "from a backup, or ask what is left: dashflow doctor",
            where=where,
            key=key.hex(),
            **_place(stream, version),
        )

    def of(self, stream: str, version: int) -> MissingBlobError:
        """The same error, which tells the event too."""
        return MissingBlobError(
            self.data["where"], bytes.fromhex(self.data["key"]), stream=stream, version=version
        )


class CorruptBlobError(CorruptLogError):
    """A stored large value is not what was written."""

    code = "CORRUPT_BLOB"

    def __init__(self, where: str, key: bytes, problem: str, *, stream: str = "", version: int = 0) -> None:
        LogError.__init__(
            self,
            f"The value with the key {key.hex()} in the log at {where!r}, which "
            f"{_event_named(stream, version)} needs, is damaged: {problem}. Restore the log from a backup, "
            "or ask what is left: dashflow doctor",
            where=where,
            key=key.hex(),
            problem=problem,
            **_place(stream, version),
        )

    def of(self, stream: str, version: int) -> CorruptBlobError:
        """The same error, which tells the event too."""
        data = self.data
        return CorruptBlobError(
            data["where"], bytes.fromhex(data["key"]), data["problem"], stream=stream, version=version
        )


class CorruptViewError(CorruptLogError):
    """A view, or an entry of one, does not match its checksum; it can be made again from the events."""

    code = "CORRUPT_VIEW"

    def __init__(self, where: str, view: str, key: str, problem: str) -> None:
        place = f"The entry {key!r} of the view {view!r}" if key else f"The view {view!r}"
        LogError.__init__(
            self,
            f"{place} in the log at {where!r} is damaged: {problem}. Its events are not: drop the view, and "
            "it is made again from them (dashflow doctor --repair does).",
            where=where,
            view=view,
            key=key,
            problem=problem,
        )


def _place(stream: str, version: int) -> dict[str, Any]:
    return {"stream": stream, "version": version} if stream else {}


def _event_named(stream: str, version: int) -> str:
    return f"event {version} of stream {stream!r}" if stream else "one of its events"


class StorageUnavailableError(LogError):
    """The store refused a write or a read for a reason outside the program; nothing was half written."""

    code = "STORAGE_UNAVAILABLE"

    def __init__(self, where: str, problem: str, *, what: str = "log") -> None:
        super().__init__(
            f"The {what} at {where!r} cannot be used: {problem}. What was recorded before is safe; "
            "free the cause and resume.",
            where=where,
            problem=problem,
        )


class LogClosedError(LogError):
    """The log was used after it was closed."""

    code = "LOG_CLOSED"

    def __init__(self, where: str) -> None:
        super().__init__(f"The log at {where!r} is closed; open it again.", where=where)


class ValueCodecError(LogError, TypeError):
    """A value that cannot be stored as data, or stored data that no registered class fits."""

    code = "VALUE_CODEC"

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"Value at {path!r}: {problem}", path=path, problem=problem)


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
