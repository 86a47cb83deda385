-- Every statement of the SQLite log, by name. The program holds no SQL of its own except BEGIN,
-- COMMIT, SAVEPOINT and PRAGMAs.

-- name: head
-- The last position of the log.
SELECT coalesce(max(position), 0) FROM events;

-- name: stream_by_name
-- What a writer must know of a stream.
SELECT stream_id, version, position, created_at, updated_at, owner, epoch, lease
FROM streams WHERE name = ?;

-- name: stream_by_id
-- What a reader must know of a stream.
SELECT name, category FROM streams WHERE stream_id = ?;

-- name: add_stream
INSERT INTO streams (name, category) VALUES (?, ?);

-- name: update_stream
UPDATE streams
SET version = ?, position = ?, created_at = ?, updated_at = ?, owner = ?, epoch = ?, lease = ?
WHERE stream_id = ?;

-- name: renew_lease
-- The heartbeat of an owner; without effect where a later owner took over.
UPDATE streams SET lease = ? WHERE stream_id = ? AND owner = ? AND epoch = ?;

-- name: give_up
-- Ownership that ends with the log that held it.
UPDATE streams SET owner = '' WHERE stream_id = ? AND owner = ? AND epoch = ?;

-- name: word_by_text
SELECT word_id FROM words WHERE text = ?;

-- name: word_by_id
SELECT text FROM words WHERE word_id = ?;

-- name: add_word
INSERT INTO words (text) VALUES (?);

-- name: add_events
-- One row; the writer repeats the last line to insert many at once, which costs a third less.
INSERT INTO events (position, stream_id, version, type, schema, event_id, correlation_id,
                    causation_id, at, epoch, fingerprint, checksum, data)
VALUES
(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: version_of_event
-- Where an event is that a writer may have appended before.
SELECT e.version, s.name FROM events e JOIN streams s USING (stream_id) WHERE e.event_id = ?;

-- name: ids_from
-- The events that stand where an append would have put its own.
SELECT event_id, version, position, epoch FROM events
WHERE stream_id = ? AND version >= ? ORDER BY version LIMIT ?;

-- name: version
SELECT coalesce((SELECT version FROM streams WHERE name = ?), 0);

-- name: read_stream
SELECT position, stream_id, version, type, schema, event_id, correlation_id, causation_id, at, epoch,
       fingerprint, checksum, data
FROM events
WHERE stream_id = (SELECT stream_id FROM streams WHERE name = ?) AND version > ? AND version <= ?
ORDER BY version LIMIT ?;

-- name: read_all
-- A stretch of the global order; the upper bound is the head that was read before.
SELECT position, stream_id, version, type, schema, event_id, correlation_id, causation_id, at, epoch,
       fingerprint, checksum, data
FROM events
WHERE position > ? AND position <= ? ORDER BY position LIMIT ?;

-- name: read_category
-- The same for one category. The order of CROSS JOIN is kept: events by position, each with its
-- stream, so that a page costs what it passes over and nothing is sorted.
SELECT e.position, e.stream_id, e.version, e.type, e.schema, e.event_id, e.correlation_id,
       e.causation_id, e.at, e.epoch, e.fingerprint, e.checksum, e.data
FROM events e CROSS JOIN streams s ON s.stream_id = e.stream_id
WHERE e.position > ? AND e.position <= ? AND s.category = ? ORDER BY e.position LIMIT ?;

-- name: version_at
-- The version of a stream at a position of the log.
SELECT coalesce(max(version), 0) FROM events
WHERE stream_id = (SELECT stream_id FROM streams WHERE name = ?) AND position <= ?;

-- name: streams
-- Streams with events, most recently written first; NULL (given twice) stands for every category.
SELECT name, category, version, created_at, updated_at, owner, lease FROM streams
WHERE version > 0 AND (? IS NULL OR category = ?) ORDER BY position DESC;

-- name: set_meta
INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?);

-- name: format
SELECT value FROM meta WHERE key = 'format';
