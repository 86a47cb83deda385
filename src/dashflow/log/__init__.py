"""The event log: the only place where truth lives. Backends do not know each other."""
