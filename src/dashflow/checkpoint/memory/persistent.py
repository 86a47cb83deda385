"""PersistentDict: a dict that is written to a file when it is closed."""

from __future__ import annotations

import os
import pickle
import tempfile
from collections import defaultdict
from types import TracebackType
from typing import IO, Any, Self

from dashflow.checkpoint.serde import pickles


class PersistentDict(defaultdict[Any, Any]):
    """A dict of plain data that is kept in memory, and written to a file as a whole.

    Args:
        args: What a ``defaultdict`` takes.
        filename: The file; it is not read before ``load``.
        kwds: First items.
    """

    def __init__(self, *args: Any, filename: str, **kwds: Any) -> None:
        super().__init__(*args, **kwds)
        self.filename = filename

    def sync(self) -> None:
        """Write all to the file, which is replaced at once."""
        folder = os.path.dirname(os.path.abspath(self.filename))
        with tempfile.NamedTemporaryFile(dir=folder, suffix=".tmp", delete=False) as file:
            try:
                self.dump(file)
            except BaseException:
                os.remove(file.name)
                raise
        os.replace(file.name, self.filename)

    def close(self) -> None:
        """Write all to the file, and empty the dict."""
        self.sync()
        self.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def dump(self, fileobj: IO[bytes]) -> None:
        """Write all to an open file."""
        pickle.dump(dict(self), fileobj)

    def load(self) -> None:
        """Add what the file has: plain data only. An empty file has nothing.

        Raises:
            pickle.UnpicklingError: The file has something else in it.
        """
        with open(self.filename, "rb") as file:
            content = file.read()
        if content:
            self.update(pickles.loads(content, None))
