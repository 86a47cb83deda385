"""What a consumer group decides and knows: pure, values in, values out. No clock, log or thread in here."""
