-- Appends of few events, made with fewer statements. What comes of an append is what it was.

-- One append at a time in the whole log, up to the end of the transaction, and what must hold in it.
-- `patience`: milliseconds to wait for the others. Nothing is set that is so already.
CREATE OR REPLACE FUNCTION {schema}.take_turn(patience bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    durable text := current_setting('synchronous_commit');
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'transactions are % by default here; the log needs read committed',
            current_setting('transaction_isolation') USING ERRCODE = '25001';
    END IF;
    IF durable = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    IF NOT pg_try_advisory_xact_lock(1147237224, hashtext('{schema}')) THEN
        PERFORM set_config('lock_timeout', patience::text, true);
        PERFORM pg_advisory_xact_lock(1147237224, hashtext('{schema}'));
    END IF;
END
$$;

