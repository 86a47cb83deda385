"""LangGraph's former place of a few functions, for programs that still import them from here."""
