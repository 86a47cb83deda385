"""Errors of the event log."""

from __future__ import annotations

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


class CorruptEventError(LogError):
    """A stored event does not match its checksum or cannot be decoded."""

    code = "CORRUPT_EVENT"

    def __init__(self, stream: str, version: int, problem: str) -> None:
        super().__init__(
            f"Event {version} of stream {stream!r} is damaged: {problem}. Events before it are "
            "good; restore the file from a backup or go on from version "
            f"{max(version - 1, 0)}.",
            stream=stream,
            version=version,
            problem=problem,
        )


class MissingBlobError(LogError):
    """An event names a large value that the log does not have."""

    code = "MISSING_BLOB"

    def __init__(self, where: str, key: bytes) -> None:
        super().__init__(
            f"The log at {where!r} has no value with the key {key.hex()}, which one of its events needs: "
            "the log is damaged, or was copied in part. Restore it from a backup.",
            where=where,
            key=key.hex(),
        )


class CorruptBlobError(LogError):
    """A stored large value is not what was written."""

    code = "CORRUPT_BLOB"

    def __init__(self, where: str, key: bytes, problem: str) -> None:
        super().__init__(
            f"The value with the key {key.hex()} in the log at {where!r} is damaged: {problem}. "
            "Restore the log from a backup.",
            where=where,
            key=key.hex(),
            problem=problem,
        )


class StorageUnavailableError(LogError):
    """The store refused a write or a read for a reason outside the program; nothing was half written."""

    code = "STORAGE_UNAVAILABLE"

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(
            f"The log at {where!r} cannot be used: {problem}. What was recorded before is safe; "
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
