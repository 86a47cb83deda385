"""Events in files: exports, imports, backups and restores, over the log's port and so for every backend.

A file is JSON lines (see ``docs/reference/log-format.md``), packed or not. May not know what events mean.
"""

from dashflow.log.portable.backup import Until, backup, restore
from dashflow.log.portable.bringing import Brought, bring
from dashflow.log.portable.reading import Examined, ExportFile, Finding, examine
from dashflow.log.portable.verify import Verified, verify
from dashflow.log.portable.writing import Written, write_events, write_file

__all__ = (
    "Brought",
    "Examined",
    "ExportFile",
    "Finding",
    "Until",
    "Verified",
    "Written",
    "backup",
    "bring",
    "examine",
    "restore",
    "verify",
    "write_events",
    "write_file",
)
