"""The pure half of batches: events, the state they fold to, and what commands lead to. No I/O, no clock."""
