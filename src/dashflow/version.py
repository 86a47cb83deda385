"""The package version (SemVer). The event log's format has a number of its own."""

__version__ = "0.1.0"
