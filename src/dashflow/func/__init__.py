"""The functional API: a workflow is a function (``entrypoint``), its steps are functions it calls
(``task``)."""

from dashflow.func.entrypoint import entrypoint
from dashflow.func.task import task

__all__ = ("entrypoint", "task")
