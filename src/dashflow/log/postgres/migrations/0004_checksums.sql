-- Checksums of envelopes and of views' entries, not of payloads alone. No row is rewritten: what is there keeps
-- the checksum that it has.

-- A mark with what only the server knows mixed in. 2^33: its checksum is bound to a place; see places.py.
CREATE FUNCTION {schema}.numbered(mark bigint, pos bigint, version bigint, epoch bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN mark & 8589934592 = 0 THEN mark ELSE
        mark # (((pos & 4294967295) * 2147483629) & 4294967295)
             # (((version & 4294967295) * 1640531527) & 4294967295)
             # (((epoch & 4294967295) * 1013904223) & 4294967295) END
$$;

-- As before, except for that.
CREATE OR REPLACE FUNCTION {schema}.append(
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
           now_epochs[e.append],
           {schema}.numbered(e.mark, before + e.n, bases[e.append] + e.n - starts[e.append],
                             now_epochs[e.append]),
           e.schema, e.id, e.cause, e.type, e.correlation, e.fingerprint,
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

-- NULL: from before there was one.
ALTER TABLE {schema}.view_entries ADD COLUMN mark bigint;

-- As the one without marks.
CREATE FUNCTION {schema}.project(
    view text, upto bigint, expected bigint, keys text[], datas bytea[], marks bigint[]
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
    INSERT INTO {schema}.view_entries AS e (view_id, key, value, mark)
    SELECT number, c.key, c.data, c.mark FROM unnest(keys, datas, marks) AS c (key, data, mark)
    WHERE c.data IS NOT NULL
    ON CONFLICT (view_id, key) DO UPDATE SET value = excluded.value, mark = excluded.mark;
    RETURN NULL;
END
$$;

-- Rows that could not be read, as they were found; `why` says what was wrong with them.
CREATE TABLE {schema}.aside (
    aside_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at       bigint NOT NULL,
    stream   text COLLATE "C" NOT NULL,
    version  bigint NOT NULL,
    why      text NOT NULL,
    kept     bytea NOT NULL
);
