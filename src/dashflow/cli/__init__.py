"""The command line: reads arguments, shows what the log says. Decides nothing about plans or graphs."""
