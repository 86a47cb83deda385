-- LangGraph keeps whole minutes; a life of half a minute would be none.
DO $$ BEGIN
    IF EXISTS (
        SELECT 1 FROM pg_attribute
        WHERE attrelid = to_regclass('store') AND attname = 'ttl_minutes' AND atttypid = 'int4'::regtype
    ) THEN
        ALTER TABLE store ALTER COLUMN ttl_minutes TYPE double precision;
    END IF;
END $$
