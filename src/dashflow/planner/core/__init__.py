"""The planner's pure half: commands, events, state, ``process`` and ``fold``. No I/O, clock or randomness."""
