"""Who may append to a stream: the one rule that every backend applies inside its commit.

Pure. A backend looks up the stream's state, asks ``admit``, and writes under the epoch it answers.
"""

from __future__ import annotations

from dashflow.errors import FencedError, OwnershipConflictError, UsageError, VersionConflictError
from dashflow.log.base import ANY, Append


def admit(append: Append, *, version: int, owner: str, epoch: int, held: bool) -> int:
    """Decide on an append; ownership counts before the version, because it says more.

    Args:
        append: What is asked for.
        version: The stream's version now.
        owner: Who owns the stream, dead or alive; empty for nobody.
        epoch: The epoch of the last claim of the stream; 0 if there was none.
        held: Whether ``owner`` is somebody else than the appender, alive and within the lease.

    Returns:
        The epoch under which to write; 0 for an append without an owner.

    Raises:
        OwnershipConflictError: Claimed or wanted unowned, while somebody else holds the stream.
        FencedError: Written as an owner that is not, or no longer, the stream's.
        VersionConflictError: The stream is not at the expected version.
    """
    if append.claim:
        if held and not append.force:
            raise OwnershipConflictError(append.stream, owner)
        granted = epoch + 1
    else:
        if append.unowned and held:
            raise OwnershipConflictError(append.stream, owner)
        granted = append.epoch if append.owner else 0
        if append.owner and (owner != append.owner or epoch != granted):
            raise FencedError(append.stream, granted, epoch)
    if append.expected != version and append.expected != ANY:
        raise VersionConflictError(append.stream, append.expected, version)
    return granted


def check_append(append: Append, instance: str) -> None:
    """Refuse an append that no state of the log could make right.

    Raises:
        UsageError: No stream name, a claim or release without an owner, a claim for an owner of
            another log instance, whose life this one could not vouch for, unless it is by force; force
            without a claim, or a negative version to forget up to.
    """
    if not append.stream:
        raise UsageError("An append needs the name of a stream, for example 'run-1'.")
    if append.claim and not append.force and not append.owner.startswith(instance + "/"):
        raise UsageError(
            f"Claiming {append.stream!r} needs an owner that starts with this log's instance, "
            f"{instance + '/'!r}; got {append.owner!r}.",
            stream=append.stream,
            owner=append.owner,
        )
    if append.claim and "/" not in append.owner:
        raise UsageError(
            f"Claiming {append.stream!r} needs an owner, a log's instance and '/' and a name; got "
            f"{append.owner!r}.",
            stream=append.stream,
            owner=append.owner,
        )
    if append.release and not append.owner:
        raise UsageError(
            f"Releasing {append.stream!r} needs the owner that gives it up.", stream=append.stream
        )
    if append.force and not append.claim:
        raise UsageError(
            f"Only a claim can be made by force; the append to {append.stream!r} does not claim.",
            stream=append.stream,
        )
    if append.forget < 0:
        raise UsageError(
            f"{append.stream!r} can be forgotten up to a version from 1 on, or EVERYTHING; "
            f"got {append.forget}.",
            stream=append.stream,
        )


def category_of(stream: str) -> str:
    """A stream's category: its name up to the first ``-``."""
    return stream.partition("-")[0]
