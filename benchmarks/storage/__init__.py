"""What becomes of threads when their storage lies, fails, fills up or is slow: DashFlow beside LangGraph."""
