"""Reading what suppliers send."""
