CREATE TABLE IF NOT EXISTS store (
    prefix text NOT NULL,  -- the namespace's labels, with periods between them
    key text NOT NULL,
    value jsonb NOT NULL,
    created_at timestamptz DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamptz DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (prefix, key)
)
