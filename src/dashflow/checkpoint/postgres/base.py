"""What the savers on PostgreSQL have in common: a log, and where it came from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dashflow._util.langchain import RunnableConfig
from dashflow.checkpoint.base.checkpoint import ChannelVersions, Checkpoint, CheckpointMetadata
from dashflow.checkpoint.postgres.logs import check_kind, log_of, opened
from dashflow.checkpoint.saver import LogSaver
from dashflow.checkpoint.serde.base import SerializerProtocol, UntypedSerializerProtocol
from dashflow.log.postgres.statements import scripts

__all__ = ("BasePostgresSaver",)


class BasePostgresSaver(LogSaver):
    """Threads in a PostgreSQL database; its subclasses say for whom.

    Args:
        conn: A connection string, or the program's connection or pool.
        kinds: What ``conn`` may be, if it is no text.
        pipe: The program's pipeline, of which nothing is used.
        serde: Makes bytes of values that are put in by hand, and reads them.
        schema: The schema that the log has to itself; ``dashflow`` unless told.

    Attributes:
        conn: See above.
        pipe: See above.
    """

    MIGRATIONS: Sequence[str] = [text for _, (_, text) in sorted(scripts().items())]
    """The scripts that make the log's tables."""

    def __init__(
        self,
        conn: Any,
        kinds: tuple[type, ...],
        pipe: Any,
        serde: SerializerProtocol | UntypedSerializerProtocol | None,
        schema: str | None,
    ) -> None:
        close: Callable[[], None] | None = None
        if isinstance(conn, str):
            log = opened(conn, schema)
            close = log.close
        else:
            check_kind(type(self).__name__, conn, *kinds)
            if pipe is not None and hasattr(conn, "getconn"):
                raise ValueError(
                    "Pipeline should be used only with a single connection, not a pool: leave 'pipe' out. "
                    "The log pipelines its statements by itself."
                )
            log = log_of(conn, schema)
        self.conn = conn
        self.pipe = pipe
        self._close = close
        super().__init__(log, serde=serde)

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Put a checkpoint in by hand; see ``LogSaver.put``.

        As with LangGraph's savers on PostgreSQL, texts in metadata lose the character NUL.
        """
        return super().put(config, checkpoint, _without_nul(metadata), new_versions)


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, dict):
        return {_without_nul(key): _without_nul(part) for key, part in value.items()}
    return [_without_nul(part) for part in value] if isinstance(value, list) else value
