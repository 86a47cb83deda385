-- Every statement of the stores on PostgreSQL, by name. In braces: what the program puts in, which is its own
-- text only, never a value. Values are parameters.

-- name: now
-- The moment that a batch takes place: the server's, so that many machines agree, unless the store has a clock.
coalesce(%(now)s::timestamptz, now())

-- name: get
-- Items by place. `place` counts the operations from 1.
SELECT a.place, s.value::text, s.created_at, s.updated_at
FROM unnest(%(prefixes)s::text[], %(keys)s::text[]) WITH ORDINALITY AS a (prefix, key, place)
JOIN store AS s ON s.prefix = a.prefix AND s.key = a.key
{where};

-- name: get_and_refresh
-- The same, and the life of those that are asked so begins anew. The SELECT sees them as they were.
WITH refreshed AS (
    UPDATE store AS s SET expires_at = {now} + s.ttl_minutes * interval '1 minute'
    FROM (
        SELECT DISTINCT a.prefix, a.key
        FROM unnest(%(prefixes)s::text[], %(keys)s::text[], %(refreshed)s::boolean[]) AS a (prefix, key, wanted)
        WHERE a.wanted
    ) AS a
    WHERE s.prefix = a.prefix AND s.key = a.key AND s.ttl_minutes IS NOT NULL {and_seen}
)
SELECT a.place, s.value::text, s.created_at, s.updated_at
FROM unnest(%(prefixes)s::text[], %(keys)s::text[]) WITH ORDINALITY AS a (prefix, key, place)
JOIN store AS s ON s.prefix = a.prefix AND s.key = a.key
{where};

-- name: search
-- Items that fit, the newest first.
SELECT s.prefix, s.key, s.value::text, s.created_at, s.updated_at, NULL::float8 AS score
FROM store AS s {where}
ORDER BY s.updated_at DESC, s.prefix COLLATE "C", s.key COLLATE "C"
LIMIT %(limit)s::bigint OFFSET %(offset)s::bigint;

-- name: rank
-- Items that fit, the nearest first. Of an item with several texts the nearest one counts.
SELECT s.prefix, s.key, s.value::text, s.created_at, s.updated_at, r.score
FROM (
    SELECT s.prefix, s.key, max({score}) AS score
    FROM store AS s JOIN store_vectors AS v ON v.prefix = s.prefix AND v.key = s.key
    {where}
    GROUP BY s.prefix, s.key
    ORDER BY score DESC, s.prefix COLLATE "C", s.key COLLATE "C"
    LIMIT %(limit)s::bigint OFFSET %(offset)s::bigint
) AS r
JOIN store AS s ON s.prefix = r.prefix AND s.key = r.key
ORDER BY r.score DESC, s.prefix COLLATE "C", s.key COLLATE "C";

-- name: rank_near
-- The same out of the nearest texts, which an index finds: ORDER BY is as pgvector's indexes want it. Those are
-- approximate, and conditions are applied to what they found: a page may come out short, and is then ranked.
WITH near AS MATERIALIZED (
    SELECT s.prefix, s.key, {score} AS score
    FROM store AS s JOIN store_vectors AS v ON v.prefix = s.prefix AND v.key = s.key
    {where}
    ORDER BY v.embedding {operator} %(query)s::{type}
    LIMIT %(candidates)s::bigint
),
r AS (
    SELECT n.prefix, n.key, max(n.score) AS score FROM near AS n
    GROUP BY n.prefix, n.key
    ORDER BY score DESC, n.prefix COLLATE "C", n.key COLLATE "C"
    LIMIT %(limit)s::bigint OFFSET %(offset)s::bigint
)
SELECT s.prefix, s.key, s.value::text, s.created_at, s.updated_at, r.score
FROM r JOIN store AS s ON s.prefix = r.prefix AND s.key = r.key
ORDER BY r.score DESC, s.prefix COLLATE "C", s.key COLLATE "C";

-- name: refresh_found
-- What a search finds, and its life begins anew. `found` is computed once and read in its order.
WITH found AS MATERIALIZED ({found}),
refreshed AS (
    UPDATE store AS s SET expires_at = {now} + s.ttl_minutes * interval '1 minute'
    FROM found AS f
    WHERE s.prefix = f.prefix AND s.key = f.key AND s.ttl_minutes IS NOT NULL
)
SELECT * FROM found;

-- name: namespaces
-- Namespaces that hold items, cut off at a depth, as arrays of labels.
SELECT DISTINCT (string_to_array(s.prefix, '.'))[:%(depth)s::int] COLLATE "C" AS labels
FROM store AS s {where}
ORDER BY labels
LIMIT %(limit)s::bigint OFFSET %(offset)s::bigint;

-- name: put
-- In the order of their places, so that two batches with the same places wait for each other instead of both.
INSERT INTO store (prefix, key, value, created_at, updated_at, expires_at, ttl_minutes)
SELECT a.prefix, a.key, a.value::jsonb, {now}, {now}, {now} + a.minutes * interval '1 minute', a.minutes
FROM unnest(%(prefixes)s::text[], %(keys)s::text[], %(values)s::text[], %(minutes)s::float8[])
    AS a (prefix, key, value, minutes)
ORDER BY a.prefix, a.key
ON CONFLICT (prefix, key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at,
    expires_at = excluded.expires_at, ttl_minutes = excluded.ttl_minutes;

-- name: put_vectors
-- After the items: a trigger has deleted the vectors of what was there before.
INSERT INTO store_vectors (prefix, key, field_name, embedding, created_at, updated_at)
SELECT a.prefix, a.key, a.path, a.vector::{type}, {now}, {now}
FROM unnest(%(prefixes)s::text[], %(keys)s::text[], %(paths)s::text[], %(vectors)s::text[])
    AS a (prefix, key, path, vector)
ON CONFLICT (prefix, key, field_name) DO UPDATE SET embedding = excluded.embedding,
    updated_at = excluded.updated_at;

-- name: delete
WITH doomed AS (
    SELECT s.prefix, s.key
    FROM unnest(%(prefixes)s::text[], %(keys)s::text[]) AS a (prefix, key)
    JOIN store AS s ON s.prefix = a.prefix AND s.key = a.key
    ORDER BY s.prefix, s.key
    FOR UPDATE OF s
)
DELETE FROM store AS s USING doomed AS d WHERE s.prefix = d.prefix AND s.key = d.key;

-- name: sweep
-- Delete what is over; how many items that were.
WITH gone AS (DELETE FROM store AS s WHERE s.expires_at <= {now} RETURNING 1) SELECT count(*) FROM gone;

-- name: lock
-- One set-up at a time; the lock ends with the transaction, so a transaction pooler may be in between.
SELECT pg_advisory_xact_lock(hashtext('dashflow.store.setup'));

-- name: tables
-- Which of these tables are there.
SELECT a.name, to_regclass(a.name) IS NOT NULL FROM unnest(%(names)s::text[]) AS a (name);

-- name: make_series
CREATE TABLE IF NOT EXISTS {table} (v INTEGER PRIMARY KEY);

-- name: last_step
SELECT coalesce(max(v), -1) FROM {table};

-- name: step_done
INSERT INTO {table} (v) VALUES (%(number)s) ON CONFLICT DO NOTHING;

-- name: vector_column
-- The type of the column that vectors are in, with its dimensions, if the table is there.
SELECT (
    SELECT format_type(atttypid, atttypmod) FROM pg_attribute
    WHERE attrelid = to_regclass('store_vectors') AND attname = 'embedding'
);

-- name: has_pgvector
SELECT count(*) FROM pg_available_extensions WHERE name = 'vector';
