"""Tests that DashFlow ships: contracts that a backend of your own subclasses. Needs pytest."""
