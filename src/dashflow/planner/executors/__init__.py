"""Executors: each does one kind of task on real input. They know tasks and folders, not the log."""
