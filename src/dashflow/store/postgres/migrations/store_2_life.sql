ALTER TABLE store
ADD COLUMN IF NOT EXISTS expires_at timestamptz,
ADD COLUMN IF NOT EXISTS ttl_minutes double precision
