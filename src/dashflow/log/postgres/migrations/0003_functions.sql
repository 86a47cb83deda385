-- The changes that are made in one round trip: each a function, so that no transaction of ours ever waits
-- for the program that began it. Stopped or cut off, a program leaves nothing locked behind.

-- One append at a time in the whole log, up to the end of the transaction, and what must hold in it.
-- `patience`: milliseconds to wait for the others.
CREATE FUNCTION {schema}.take_turn(patience bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'transactions are % by default here; the log needs read committed',
            current_setting('transaction_isolation') USING ERRCODE = '25001';
    END IF;
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    PERFORM set_config('lock_timeout', patience::text, true);
    PERFORM pg_advisory_xact_lock(1147237224, hashtext('{schema}'));
END
$$;

-- A group of appends, those of one stream beside each other in the order in which they were made, and the
-- events of all in the order of the log. One row comes back for each append, in the same order: 'ok', or
-- what it was refused for, and the stream's state. Refused appends have written nothing; the rules are
-- those of `dashflow.log.admission`.
--   asks:    1 claim, 2 release, 4 unowned, 8 force
--   counts:  events of the append; starts: how many events of others stand before them
--   appends: of each event, the append that it belongs to, from 1
CREATE FUNCTION {schema}.append(
    me text, lease_seconds double precision, patience bigint,
    names text[], expecteds bigint[], owners text[], epochs bigint[], asks bigint[], forgets bigint[],
    counts bigint[], starts bigint[],
    appends bigint[], types text[], schemas bigint[], ids uuid[], correlations text[], causes uuid[],
    ats bigint[], fingerprints text[], marks bigint[], datas bytea[],
    blob_events bigint[], blob_keys bytea[], blob_marks bigint[], blob_datas bytea[]
) RETURNS TABLE (
    r_outcome text, r_version bigint, r_position bigint, r_epoch bigint, r_owner text
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    number     integer := cardinality(names);
    total      bigint := cardinality(appends);
    before     bigint := 0;  -- the position before the first one of this group
    stream     {schema}.streams%ROWTYPE;
    current    text;
    known      boolean;
    changed    boolean := false;
    outcome    text;
    mine       text;
    ask        bigint;
    granted    bigint;
    held       boolean;
    forgets_any boolean := false;
    claims_any boolean := false;
    outcomes   text[] := ARRAY[]::text[];
    versions   bigint[] := ARRAY[]::bigint[];
    positions  bigint[] := ARRAY[]::bigint[];
    now_epochs bigint[] := ARRAY[]::bigint[];
    now_owners text[] := ARRAY[]::text[];
    stream_ids bigint[] := ARRAY[]::bigint[];
    bases      bigint[] := ARRAY[]::bigint[];  -- the version before the append; NULL: refused
BEGIN
    PERFORM {schema}.take_turn(patience);
    IF total > 0 THEN
        before := nextval('{schema}.positions') - 1;
        IF total > 1 THEN
            PERFORM setval('{schema}.positions', before + total);
        END IF;
    END IF;
    FOR i IN 1 .. number + 1 LOOP
        IF current IS DISTINCT FROM names[i] THEN
            IF changed AND known THEN
                UPDATE {schema}.streams s
                SET version = stream.version, position = stream.position, forgotten = stream.forgotten,
                    created_at = stream.created_at, updated_at = stream.updated_at,
                    owner = stream.owner, epoch = stream.epoch
                WHERE s.stream_id = stream.stream_id;
            ELSIF changed THEN
                INSERT INTO {schema}.streams VALUES (stream.*);
            END IF;
            EXIT WHEN i > number;
            current := names[i];
            changed := false;
            SELECT s.* INTO stream FROM {schema}.streams s WHERE s.name = current;
            known := FOUND;
            IF NOT known THEN
                stream := ROW(0, current, split_part(current, '-', 1), 0, 0, 0, 0, 0, '', 0);
            END IF;
        END IF;

        mine := owners[i];
        ask := asks[i];
        held := false;
        IF ask & 5 <> 0 AND stream.owner <> '' AND stream.owner <> mine THEN
            held := split_part(stream.owner, '/', 1) = me OR EXISTS (
                SELECT FROM {schema}.instances n
                WHERE n.instance = split_part(stream.owner, '/', 1) AND n.lease > clock_timestamp()
            );
        END IF;
        outcome := 'ok';
        IF ask & 1 <> 0 THEN
            granted := stream.epoch + 1;
            IF held AND ask & 8 = 0 THEN
                outcome := 'owned';
            END IF;
        ELSE
            granted := CASE WHEN mine = '' THEN 0 ELSE epochs[i] END;
            IF held THEN
                outcome := 'owned';
            ELSIF mine <> '' AND (stream.owner <> mine OR stream.epoch <> granted) THEN
                outcome := 'fenced';
            END IF;
        END IF;
        IF outcome = 'ok' AND expecteds[i] <> -1 AND expecteds[i] <> stream.version THEN
            outcome := 'version';
        END IF;

        IF outcome = 'ok' THEN
            bases[i] := stream.version;
            IF counts[i] > 0 OR mine <> '' OR forgets[i] > 0 THEN
                IF NOT known AND stream.stream_id = 0 THEN
                    stream.stream_id := nextval('{schema}.stream_numbers');
                END IF;
                changed := true;
            END IF;
            IF forgets[i] > 0 THEN
                forgets_any := true;
                stream.forgotten := greatest(stream.forgotten, least(forgets[i], stream.version));
            END IF;
            IF counts[i] > 0 THEN
                IF stream.version = 0 THEN
                    stream.created_at := ats[starts[i] + 1];
                END IF;
                stream.version := stream.version + counts[i];
                stream.position := before + starts[i] + counts[i];
                stream.updated_at := ats[starts[i] + counts[i]];
            END IF;
            IF mine <> '' THEN
                stream.owner := CASE WHEN ask & 2 <> 0 THEN '' ELSE mine END;
                stream.epoch := granted;
                claims_any := claims_any OR ask & 1 <> 0;
            END IF;
        ELSE
            bases[i] := NULL;
            granted := stream.epoch;
        END IF;
        stream_ids[i] := stream.stream_id;
        outcomes[i] := outcome;
        versions[i] := stream.version;
        positions[i] := stream.position;
        now_epochs[i] := granted;
        now_owners[i] := stream.owner;
    END LOOP;

    INSERT INTO {schema}.events (
        position, stream_id, version, at, epoch, mark, schema, event_id, causation_id, type,
        correlation_id, fingerprint, data
    )
    SELECT before + e.n, stream_ids[e.append], bases[e.append] + e.n - starts[e.append], e.at,
           now_epochs[e.append], e.mark, e.schema, e.id, e.cause, e.type, e.correlation, e.fingerprint,
           e.data
    FROM unnest(appends, types, schemas, ids, correlations, causes, ats, fingerprints, marks, datas)
         WITH ORDINALITY AS e (
             append, type, schema, id, correlation, cause, at, fingerprint, mark, data, n
         )
    WHERE bases[e.append] IS NOT NULL;

    IF cardinality(blob_events) > 0 THEN
        INSERT INTO {schema}.blobs AS b (key, mark, data)
        SELECT k.key, k.mark, k.data
        FROM unnest(blob_events, blob_keys, blob_marks, blob_datas) AS k (event, key, mark, data)
        WHERE bases[appends[k.event]] IS NOT NULL
        ON CONFLICT DO NOTHING;
        INSERT INTO {schema}.blob_uses (position, key)
        SELECT before + k.event, k.key FROM unnest(blob_events, blob_keys) AS k (event, key)
        WHERE bases[appends[k.event]] IS NOT NULL;
    END IF;
    IF forgets_any THEN
        FOR i IN 1 .. number LOOP
            IF forgets[i] > 0 AND bases[i] > 0 THEN
                PERFORM {schema}.forget(stream_ids[i], least(forgets[i], bases[i]));
            END IF;
        END LOOP;
    END IF;
    IF claims_any THEN
        PERFORM {schema}.show_alive(me, lease_seconds);
    END IF;
    RETURN QUERY SELECT * FROM unnest(outcomes, versions, positions, now_epochs, now_owners);
END
$$;

-- Drop a stream's events up to a version, what only they needed, and what was made of them.
CREATE FUNCTION {schema}.forget(stream bigint, upto bigint) RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    gone   bigint[];
    unused bytea[];
BEGIN
    WITH dropped AS (
        DELETE FROM {schema}.events e WHERE e.stream_id = stream AND e.version <= upto RETURNING e.position
    )
    SELECT array_agg(position) INTO gone FROM dropped;
    WITH dropped AS (
        DELETE FROM {schema}.blob_uses u WHERE u.position = ANY (gone) RETURNING u.key
    )
    SELECT array_agg(DISTINCT key) INTO unused FROM dropped;
    DELETE FROM {schema}.blobs b
    WHERE b.key = ANY (unused)
      AND NOT EXISTS (SELECT FROM {schema}.blob_uses u WHERE u.key = b.key);
    DELETE FROM {schema}.snapshots n WHERE n.stream_id = stream AND n.version <= upto;
END
$$;

-- The heartbeat of a log: its owners are left alone for another lease.
CREATE FUNCTION {schema}.show_alive(me text, lease_seconds double precision) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO {schema}.instances AS n (instance, lease)
    VALUES (me, clock_timestamp() + lease_seconds * interval '1 second')
    ON CONFLICT (instance) DO UPDATE SET lease = greatest(n.lease, excluded.lease)
$$;

-- A view goes on from `expected` to `upto`; a change without a value removes the key. NULL when that was
-- done, else where the view is.
CREATE FUNCTION {schema}.project(
    view text, upto bigint, expected bigint, keys text[], datas bytea[]
) RETURNS bigint LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    number bigint;
    at     bigint;
BEGIN
    INSERT INTO {schema}.views (name, position) VALUES (view, 0) ON CONFLICT (name) DO NOTHING;
    SELECT v.view_id, v.position INTO number, at FROM {schema}.views v WHERE v.name = view FOR UPDATE;
    IF at <> expected THEN
        RETURN at;
    END IF;
    UPDATE {schema}.views v SET position = upto WHERE v.view_id = number;
    DELETE FROM {schema}.view_entries e
    USING unnest(keys, datas) AS c (key, data)
    WHERE e.view_id = number AND e.key = c.key AND c.data IS NULL;
    INSERT INTO {schema}.view_entries AS e (view_id, key, value)
    SELECT number, c.key, c.data FROM unnest(keys, datas) AS c (key, data) WHERE c.data IS NOT NULL
    ON CONFLICT (view_id, key) DO UPDATE SET value = excluded.value;
    RETURN NULL;
END
$$;
