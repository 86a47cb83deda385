"""What becomes of runs when things go wrong: the same faults for DashFlow and LangGraph, side by side."""
