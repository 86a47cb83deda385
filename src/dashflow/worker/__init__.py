"""Workers: they find runs whose process died, and finish them without being asked."""

from dashflow.worker.report import Report
from dashflow.worker.worker import Worker

__all__ = ("Report", "Worker")
