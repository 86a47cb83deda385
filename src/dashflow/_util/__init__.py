"""Five small things every layer may use; nothing here knows what DashFlow is."""
