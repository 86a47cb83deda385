"""Looking at a log: its tables by themselves, then every stream, event by event. Changes nothing."""

from __future__ import annotations

from contextlib import closing

from dashflow.checkpoint.events import from_record
from dashflow.checkpoint.lastgood import readable
from dashflow.checkpoint.lines import CATEGORY, MARK, SUB_CATEGORY, thread_of
from dashflow.checkpoint.sealed import is_sealed
from dashflow.checkpoint.thread import ThreadReader
from dashflow.core.events import EVENTS
from dashflow.doctor.diagnosis import DAMAGE, NOTE, Diagnosis, Finding
from dashflow.doctor.places import file_of, mender_of
from dashflow.errors import CorruptLogError, LogError, ValueCodecError
from dashflow.log.base import EventLog, Record
from dashflow.log.codec import Registry, decode
from dashflow.log.mending import Fault, Mender
from dashflow.log.open import open_log

_PAGE = 200
_THREADS = (CATEGORY, SUB_CATEGORY)

_RESTORE = "restore the log from a backup"
_REPAIR = "dashflow doctor --repair"

_ADVICE = {
    "pages": f"{_REPAIR} makes a new file of everything that can still be read; or {_RESTORE}",
    "index": f"{_REPAIR} makes the indexes again from the tables",
    "stream": f"{_REPAIR} makes the row again from the stream's events",
    "word": f"{_REPAIR} takes the text from the index, if it is right there; or {_RESTORE}",
    "snapshot": f"the events are used instead; {_REPAIR} sets it aside",
    "view": f"{_REPAIR} drops the view; whoever keeps it makes it again from the events",
    "blob": f"{_REPAIR} sets it aside, and the events that need it; or {_RESTORE}",
    "orphan": "nothing; it takes room and harms nobody",
}


def examine(db: str) -> Diagnosis:
    """Find everything that is wrong with a log.

    Args:
        db: Its file or the address of its server. A log of an older format is brought to today's, as by
            whoever opens it.

    Raises:
        UsageError: There is no log.
        NotALogError, LogFormatError, StorageUnavailableError: It cannot be looked at.
    """
    path = file_of(db)
    diagnosis = Diagnosis(db if path is not None else "", findings=[])
    if path is not None:
        _look_at_wal(path, diagnosis)
    try:
        log = open_log(db)
    except CorruptLogError as error:
        diagnosis.findings.append(Finding("pages", DAMAGE, str(error), _ADVICE["pages"], repairs=True))
        return diagnosis
    with closing(log), closing(mender_of(db)) as mender:
        diagnosis.where = log.where
        faults = mender.faults()
        diagnosis.findings += map(_told, faults)
        if not any(fault.code == "pages" for fault in faults):
            _look_at_streams(log, mender, faults, diagnosis)
    diagnosis.findings.sort(key=lambda one: (one.severity, one.stream, one.version))
    return diagnosis


def _told(fault: Fault) -> Finding:
    severity = NOTE if fault.code == "orphan" else DAMAGE
    return Finding(
        fault.code, severity, fault.problem, _ADVICE[fault.code], fault.stream, fault.version, fault.mends
    )


def _look_at_wal(path: str, diagnosis: Diagnosis) -> None:
    from dashflow.log.sqlite.walcheck import torn

    found = torn(f"{path}-wal")
    if found is not None:
        diagnosis.findings.append(
            Finding(
                "wal",
                DAMAGE,
                f"the WAL is damaged at frame {found.frame}, and {found.commits} commits behind it are lost: "
                "the log is what it was before them",
                f"look at the disk; an older copy of {path}-wal has them, or {_RESTORE}",
            )
        )


# -- streams --------------------------------------------------------------------------------------


def _look_at_streams(log: EventLog, mender: Mender, faults: list[Fault], diagnosis: Diagnosis) -> None:
    damaged = {fault.stream for fault in faults if fault.code == "stream"}
    reader = ThreadReader(log, Registry(), unknown="opaque")
    for stream, (forgotten, last) in sorted(mender.streams().items()):
        if last <= forgotten or stream in damaged:
            continue
        diagnosis.streams += 1
        diagnosis.events += last - forgotten
        if stream.partition("-")[0] in _THREADS:
            finding = _of_thread(log, reader, stream, last)
        else:
            finding = _of_stream(log, stream, forgotten, last)
        if finding is not None:
            diagnosis.findings.append(finding)
    if not damaged:
        for info in log.abandoned():
            advice = "dashflow worker finishes it, and so does whoever goes on with it: dashflow resume"
            problem = f"its owner {info.owner} is dead, and has not given it back"
            diagnosis.findings.append(Finding("abandoned", NOTE, problem, advice, info.stream))


def _of_thread(log: EventLog, reader: ThreadReader, stream: str, last: int) -> Finding | None:
    """What is wrong with a thread, or with a graph inside of one."""
    thread, ns = thread_of(stream)
    origin = reader.lines.origin(stream) if MARK in stream else None
    base = 0 if origin is None else origin.version
    kind, version, problem = _first_bad(log, stream, last)
    if kind == "sealed":
        return None
    try:
        end, _ = readable(reader, thread, ns)
        end -= base
        problem = problem or _why(reader, stream, end + base + 1)
    except (LogError, ValueError) as error:
        end, problem = 0, str(error)
    if kind == "newer":
        advice = "upgrade DashFlow: this thread cannot be shown by this version, and is not touched"
        return Finding("newer", NOTE, problem, advice, stream, version)
    if end >= last and not kind:
        return None
    if _opens(reader, thread, ns):
        advice = (
            f"the thread is at its latest state, which a snapshot holds; its history is not whole. "
            f"{_RESTORE} if you need that, or drop it: dashflow prune"
        )
        return Finding("history", DAMAGE, problem, advice, stream, version or end + 1)
    end = max(end, 1 if origin is not None else 0)
    advice = (
        f"{_REPAIR} sets events {end + 1} to {last} aside; the thread is what it was at event {end} then and "
        f"can be resumed. Or {_RESTORE}"
    )
    return Finding("event", DAMAGE, problem, advice, stream, end + 1, True, end)


def _opens(reader: ThreadReader, thread: str, ns: str) -> bool:
    """Whether the latest state can be had in spite of what is wrong."""
    try:
        reader.head(thread, ns)
    except (LogError, ValueError):
        return False
    return True


def _why(reader: ThreadReader, stream: str, version: int) -> str:
    """Why a thread cannot be folded to a version."""
    thread, ns = thread_of(stream)
    try:
        reader.at(thread, version, ns)
    except (LogError, ValueError) as error:
        return str(error)
    return "it cannot be folded to its end"


def _first_bad(log: EventLog, stream: str, last: int) -> tuple[str, int, str]:
    """The first event of a stream that is no event of ours: ``damaged``, ``newer`` or ``sealed``, its
    version, and why. Empty when all can be read."""
    after, step = 0, _PAGE
    while after < last:
        try:
            records = log.read(stream, after=after, upto=last, limit=step)
        except CorruptLogError as error:
            if step > 1:
                step = 1
                continue
            return "damaged", after + 1, str(error)
        if not records:
            break
        for record in records:
            if is_sealed(record):
                return "sealed", record.version, ""
            if record.type not in EVENTS:
                return (
                    "newer",
                    record.version,
                    f"event {record.version} is of the unknown type {record.type!r}",
                )
        after = records[-1].version
    return "", 0, ""


def _of_stream(log: EventLog, stream: str, forgotten: int, last: int) -> Finding | None:
    """What is wrong with a stream of another kind."""
    after, step = forgotten, _PAGE
    while after < last:
        try:
            records = log.read(stream, after=after, upto=last, limit=step)
            for record in records:
                _understand(log, record)
        except (CorruptLogError, ValueCodecError) as error:
            if step > 1:
                step = 1
                continue
            advice = f"{_RESTORE}; what is before it can be exported: dashflow log export --stream {stream}"
            return Finding("event", DAMAGE, str(error), advice, stream, after + 1)
        if not records:
            break
        after = records[-1].version
    return None


def _understand(log: EventLog, record: Record) -> None:
    """Read what an event of a stream that is no thread says."""
    if is_sealed(record) or not record.data or record.type == "SecretMade":
        return
    if record.category == "plan":
        from dashflow.planner.core.codec import decode as decode_plan

        decode_plan(record)
    elif record.type in EVENTS and record.category in _THREADS:
        from_record(record, Registry(), unknown="opaque", load=log.blob)
    else:
        decode(record.data, Registry(), unknown="opaque", load=log.blob)
