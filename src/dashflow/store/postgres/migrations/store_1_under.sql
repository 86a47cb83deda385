-- For all namespaces below one.
CREATE INDEX IF NOT EXISTS store_prefix_idx ON store (prefix text_pattern_ops)
