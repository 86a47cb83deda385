"""The graph runtime as pure functions over plain state: what runs next, what a step came to.

Nothing here does I/O, reads a clock, draws a random number, starts a thread or knows LangChain.
"""
