"""Approvals as a pure process: values in, values out. No clock, log, thread or randomness."""
