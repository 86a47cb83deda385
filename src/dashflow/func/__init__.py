"""The functional API: a workflow is a function (``entrypoint``), its steps are functions it calls
(``task``, beside it, or ``step``, in line)."""

from dashflow.func.entrypoint import entrypoint
from dashflow.func.step import astep, idempotency_key, step
from dashflow.func.task import task

__all__ = ("astep", "entrypoint", "idempotency_key", "step", "task")
