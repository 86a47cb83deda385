"""LangGraph's persistence interfaces, as shells over the log: a checkpoint is a position in a stream."""
