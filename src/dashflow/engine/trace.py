"""What traces show of a node: ``TracePolicy`` applied to the input and output of the node's own run.

Nothing here may break a node: a function of the policy that raises is reported as a warning in the log of
Python's ``logging``, and the value is shown as it is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from dashflow.types.policies import TracePolicy

_LOG = logging.getLogger(__name__)


def shown_input(policy: TracePolicy | None, value: Any) -> Any:
    """What traces show of a node's input."""
    return value if policy is None else _shown(policy.process_inputs, value)


def shown_output(policy: TracePolicy | None, value: Any) -> Any:
    """What traces show of a node's output."""
    return value if policy is None else _shown(policy.process_outputs, value)


def _shown(change: Callable[[Any], Any] | None, value: Any) -> Any:
    if change is None:
        return value
    try:
        return change(value)
    except Exception:  # fail-open: a trace is not worth a run
        _LOG.warning("TracePolicy function %r raised; the value is traced as it is.", change, exc_info=True)
        return value
