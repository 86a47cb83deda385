-- Every statement of the PostgreSQL log, by name; the program holds no SQL of its own except LISTEN.
-- `{schema}` stands for the log's schema. The functions are in migrations/.

-- name: append
-- A group of appends; see the function.
SELECT r_outcome, r_version, r_position, r_epoch, r_owner
FROM {schema}.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
                     $20, $21, $22, $23, $24, $25);

-- name: beat
-- The heartbeat.
SELECT {schema}.show_alive($1, $2);

-- name: owns
-- Whether a log still owns anything.
SELECT EXISTS (SELECT FROM {schema}.streams WHERE owner > $1::text || '/' AND owner < $1::text || '0');

-- name: give_up
-- The end of a log: its owners are dead.
DELETE FROM {schema}.instances WHERE instance = $1;

-- name: sweep
-- Logs that died long ago and own nothing any more.
DELETE FROM {schema}.instances n
WHERE n.lease < clock_timestamp() - interval '1 day'
  AND NOT EXISTS (
      SELECT FROM {schema}.streams s WHERE s.owner > n.instance || '/' AND s.owner < n.instance || '0'
  );

-- name: place_of_event
-- Where an event is that a writer may have appended before.
SELECT e.version, s.name FROM {schema}.events e JOIN {schema}.streams s USING (stream_id)
WHERE e.event_id = encode($1, 'hex')::uuid;

-- name: ids_from
-- The events of a stream from a version on, to compare them with what is to be appended.
SELECT uuid_send(event_id), version, position, epoch FROM {schema}.events
WHERE stream_id = (SELECT stream_id FROM {schema}.streams WHERE name = $1) AND version >= $2
ORDER BY version LIMIT $3;

-- name: versions
-- Of several streams: the last version, up to where it is forgotten, and the last event that is there. Those
-- that are not there have no row.
SELECT s.name, s.version, s.forgotten,
       (SELECT e.version FROM {schema}.events e WHERE e.stream_id = s.stream_id
        ORDER BY e.version DESC LIMIT 1)
FROM {schema}.streams s WHERE s.name = ANY ($1);

-- name: version_at
-- The version of a stream at a position of the log.
SELECT coalesce((
    SELECT version FROM {schema}.events
    WHERE stream_id = (SELECT stream_id FROM {schema}.streams WHERE name = $1) AND position <= $2
    ORDER BY version DESC LIMIT 1
), 0);

-- name: head
-- The last position that can be seen.
SELECT coalesce((SELECT position FROM {schema}.events ORDER BY position DESC LIMIT 1), 0);

-- name: read_stream
-- A stretch of one stream. All readings of events have the same columns; here the stream's end and what of it
-- is forgotten follow, and a stream without such events is a row without a position.
SELECT e.position, s.name, e.version, s.category, e.type, e.schema, uuid_send(e.event_id), e.correlation_id,
       coalesce(uuid_send(e.causation_id), ''::bytea), e.at, e.epoch, e.fingerprint, e.mark, e.data,
       s.version, s.forgotten
FROM {schema}.streams s LEFT JOIN LATERAL (
    SELECT * FROM {schema}.events f
    WHERE f.stream_id = s.stream_id AND f.version > $2 AND f.version <= $3
    ORDER BY f.version LIMIT $4
) e ON true
WHERE s.name = $1
ORDER BY e.version;

-- name: read_all
-- A stretch of the global order; $2 is the head that was read before. NULL stands for every category; no
-- types stand for all of them, an empty correlation for any.
SELECT e.position, s.name, e.version, s.category, e.type, e.schema, uuid_send(e.event_id), e.correlation_id,
       coalesce(uuid_send(e.causation_id), ''::bytea), e.at, e.epoch, e.fingerprint, e.mark, e.data
FROM {schema}.events e JOIN {schema}.streams s USING (stream_id)
WHERE e.position > $1 AND e.position <= $2
  AND ($3::text IS NULL OR s.category = $3)
  AND (cardinality($4::text[]) = 0 OR e.type = ANY ($4))
  AND ($5::text = '' OR (e.correlation_id = $5 AND e.correlation_id <> ''))
ORDER BY e.position LIMIT $6;

-- name: streams
-- Streams with events, most recently written first, with their owners where these are alive.
SELECT s.name, s.category, s.version, s.created_at, s.updated_at,
       CASE WHEN s.owner = '' OR split_part(s.owner, '/', 1) = $2 OR n.lease > clock_timestamp()
            THEN s.owner ELSE '' END
FROM {schema}.streams s LEFT JOIN {schema}.instances n ON n.instance = split_part(s.owner, '/', 1)
WHERE s.version > s.forgotten AND ($1::text IS NULL OR s.category = $1)
ORDER BY s.position DESC;

-- name: streams_named
-- The same of those whose names are between two texts, found by the index of names.
SELECT s.name, s.category, s.version, s.created_at, s.updated_at,
       CASE WHEN s.owner = '' OR split_part(s.owner, '/', 1) = $2 OR n.lease > clock_timestamp()
            THEN s.owner ELSE '' END
FROM {schema}.streams s LEFT JOIN {schema}.instances n ON n.instance = split_part(s.owner, '/', 1)
WHERE s.name >= $3 AND s.name < $4
  AND s.version > s.forgotten AND ($1::text IS NULL OR s.category = $1)
ORDER BY s.position DESC;

-- name: abandoned
-- Streams whose owners are dead, those first that have been so for longest.
SELECT s.name, s.category, s.version, s.created_at, s.updated_at, s.owner
FROM {schema}.streams s LEFT JOIN {schema}.instances n ON n.instance = split_part(s.owner, '/', 1)
WHERE s.owner <> '' AND s.version > s.forgotten AND split_part(s.owner, '/', 1) <> $2
  AND (n.lease IS NULL OR n.lease <= clock_timestamp())
  AND ($1::text IS NULL OR s.category = $1)
ORDER BY s.position, s.stream_id;

-- name: blob
SELECT mark, data FROM {schema}.blobs WHERE key = $1;

-- name: needs
-- Blobs that a stream's events need, each with the last version that does.
SELECT u.key, max(e.version)
FROM {schema}.blob_uses u JOIN {schema}.events e USING (position) JOIN {schema}.streams s USING (stream_id)
WHERE s.name = $1 GROUP BY u.key;

-- name: keep_snapshot
-- The lock waits for an append that is just forgetting: what it has forgotten is not kept. The last argument
-- says whether the stream's other snapshots go.
WITH found AS (
    SELECT stream_id FROM {schema}.streams WHERE name = $1 AND version >= $2 AND forgotten < $2 FOR SHARE
), others AS (
    DELETE FROM {schema}.snapshots o USING found
    WHERE $6 AND o.stream_id = found.stream_id AND o.version <> $2
)
INSERT INTO {schema}.snapshots AS n (stream_id, version, schema, mark, data)
SELECT found.stream_id, $2, $3, $4, $5 FROM found
ON CONFLICT (stream_id, version) DO UPDATE SET schema = excluded.schema, mark = excluded.mark,
                                                data = excluded.data;

-- name: snapshot
SELECT n.version, n.schema, n.mark, n.data FROM {schema}.snapshots n
WHERE n.stream_id = (SELECT stream_id FROM {schema}.streams WHERE name = $1)
  AND ($2::bigint IS NULL OR n.version <= $2)
ORDER BY n.version DESC LIMIT 1;

-- name: project
SELECT {schema}.project($1, $2, $3, $4, $5, $6);

-- name: view_position
SELECT coalesce((SELECT position FROM {schema}.views WHERE name = $1), 0);

-- name: view
-- Entries in the order of their keys; LIMIT NULL is none.
SELECT e.key, e.value, e.mark FROM {schema}.view_entries e
WHERE e.view_id = (SELECT view_id FROM {schema}.views WHERE name = $1)
  AND e.key >= $2 AND starts_with(e.key, $2) AND ($3::text = '' OR e.key > $3)
ORDER BY e.key LIMIT $4;

-- name: drop_view
WITH gone AS (
    DELETE FROM {schema}.views WHERE name = $1 RETURNING view_id
)
DELETE FROM {schema}.view_entries e USING gone WHERE e.view_id = gone.view_id;

-- name: notify
SELECT pg_notify($1, $2);

-- name: known_relations
-- What is in the schema, to tell a log from something else.
SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f');

-- name: has_schema
SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1);

-- name: create_schema
CREATE SCHEMA {schema};

-- name: format
SELECT coalesce(max(number), 0) FROM {schema}.migrations;

-- name: migrated
INSERT INTO {schema}.migrations (number, name) VALUES ($1, $2);

-- name: lock_schema
-- One program at a time changes tables; the lock ends with the transaction.
SELECT pg_advisory_xact_lock(1147237225, hashtext($1));
