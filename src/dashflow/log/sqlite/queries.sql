-- Every statement of the SQLite log, by name. The program holds no SQL of its own except BEGIN,
-- COMMIT, SAVEPOINT and PRAGMAs.

-- name: head
-- The last position that the log has used; that of a forgotten event stands in `meta`.
SELECT max(coalesce((SELECT max(position) FROM events), 0),
           coalesce((SELECT value FROM meta WHERE key = 'head'), 0));

-- name: stream_by_name
-- What is known of a stream, and its checksum.
SELECT stream_id, name, category, version, position, created_at, updated_at, owner, epoch, forgotten,
       lease, crc
FROM streams WHERE name = ?;

-- name: hidden_stream
-- A stream of that category and name, found the other way.
SELECT stream_id FROM streams INDEXED BY streams_by_category WHERE category = ? AND name = ?;

-- name: streams_by_name
-- The same of many: the question mark is repeated.
SELECT stream_id, name, category, version, position, created_at, updated_at, owner, epoch, forgotten,
       lease, crc
FROM streams WHERE name IN (?);

-- name: last_stream
-- The highest number of a stream; none is ever taken away.
SELECT coalesce(max(stream_id), 0) FROM streams;

-- name: stream_by_id
-- The same by its number.
SELECT stream_id, name, category, version, position, created_at, updated_at, owner, epoch, forgotten,
       lease, crc
FROM streams WHERE stream_id = ?;

-- name: keep_streams
-- A stream as it is now, new or not. One row; the writer repeats the line after VALUES.
INSERT INTO streams (stream_id, name, category, version, position, created_at, updated_at, owner, epoch,
                     forgotten, lease, crc)
VALUES
(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (stream_id) DO UPDATE
SET version = excluded.version, position = excluded.position, created_at = excluded.created_at,
    updated_at = excluded.updated_at, owner = excluded.owner, epoch = excluded.epoch,
    forgotten = excluded.forgotten, lease = excluded.lease, crc = excluded.crc;

-- name: renew_lease
-- The heartbeat of an owner; without effect where a later owner took over.
UPDATE streams SET lease = ? WHERE stream_id = ? AND owner = ? AND epoch = ?;

-- name: give_up
-- Ownership that ends with the log that held it: as if the lease had run out.
UPDATE streams SET lease = 0 WHERE stream_id = ? AND owner = ? AND epoch = ?;

-- name: word_by_text
SELECT word_id, lasting, crc FROM words WHERE text = ?;

-- name: words_by_text
-- Numbers of many: the question mark is repeated.
SELECT text, word_id, crc FROM words WHERE text IN (?);

-- name: last_word
-- The highest number of a text; one whose text was forgotten keeps it.
SELECT coalesce(max(word_id), 0) FROM words;

-- name: word_by_id
SELECT text, crc FROM words WHERE word_id = ?;

-- name: add_words
INSERT INTO words (word_id, text, lasting, crc)
VALUES
(?, ?, ?, ?);

-- name: keep_word
-- A correlation id that an event has as its type or fingerprint, too.
UPDATE words SET lasting = 1 WHERE word_id = ?;

-- name: add_events
-- One row; the writer repeats the line after VALUES to insert many at once, which costs a third less.
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

-- name: read_stream
SELECT position, stream_id, version, type, schema, event_id, correlation_id, causation_id, at, epoch,
       fingerprint, checksum, data
FROM events
WHERE stream_id = ? AND version > ? AND version <= ?
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

-- name: read_types
-- The same for some types (a JSON list), of one category or (NULL, twice) of all. The types are not
-- looked up in an index: one would make every insert dearer by a fifth, and passing over a million
-- events takes a tenth of a second.
SELECT e.position, e.stream_id, e.version, e.type, e.schema, e.event_id, e.correlation_id,
       e.causation_id, e.at, e.epoch, e.fingerprint, e.checksum, e.data
FROM events e
WHERE e.position > ? AND e.position <= ?
  AND e.type IN (SELECT word_id FROM words WHERE text IN (SELECT value FROM json_each(?)))
  AND (? IS NULL OR (SELECT category FROM streams s WHERE s.stream_id = e.stream_id) = ?)
ORDER BY e.position LIMIT ?;

-- name: read_correlated
-- What belongs together, in the global order; some types (a JSON list) or (NULL, twice) all of them, one
-- category or (NULL, twice) all. The condition that says nothing new is that of the index.
SELECT e.position, e.stream_id, e.version, e.type, e.schema, e.event_id, e.correlation_id,
       e.causation_id, e.at, e.epoch, e.fingerprint, e.checksum, e.data
FROM events e INDEXED BY events_by_correlation
WHERE e.correlation_id = (SELECT word_id FROM words WHERE text = ?) AND e.correlation_id <> 0
  AND e.position > ? AND e.position <= ?
  AND (? IS NULL
       OR e.type IN (SELECT word_id FROM words WHERE text IN (SELECT value FROM json_each(?))))
  AND (? IS NULL OR (SELECT category FROM streams s WHERE s.stream_id = e.stream_id) = ?)
ORDER BY e.position LIMIT ?;

-- name: read_stream_filtered
-- A stream's events up to a version, of some types (a JSON list) or (NULL, twice) all of them, belonging
-- to something or (NULL, twice) to anything.
SELECT position, stream_id, version, type, schema, event_id, correlation_id, causation_id, at, epoch,
       fingerprint, checksum, data
FROM events
WHERE stream_id = (SELECT stream_id FROM streams WHERE name = ?) AND version > ? AND version <= ?
  AND (? IS NULL
       OR type IN (SELECT word_id FROM words WHERE text IN (SELECT value FROM json_each(?))))
  AND (? IS NULL OR +correlation_id = (SELECT word_id FROM words WHERE text = ?))
ORDER BY version LIMIT ?;

-- name: version_at
-- The version of a stream at a position of the log.
SELECT coalesce(max(version), 0) FROM events
WHERE stream_id = (SELECT stream_id FROM streams WHERE name = ?) AND position <= ?;

-- name: streams
-- Streams with events, most recently written first; NULL (given twice) stands for every category.
SELECT stream_id, name, category, version, position, created_at, updated_at, owner, epoch, forgotten,
       lease, crc
FROM streams
WHERE version > forgotten AND (? IS NULL OR category = ?)
ORDER BY position DESC;

-- name: streams_named
-- The same of those whose names are between two texts, found by the index of names.
SELECT stream_id, name, category, version, position, created_at, updated_at, owner, epoch, forgotten,
       lease, crc
FROM streams
WHERE name >= ? AND name < ? AND version > forgotten AND (? IS NULL OR category = ?)
ORDER BY position DESC;

-- name: owned
-- The same of those that have an owner, alive or dead; those that were written longest ago first.
SELECT stream_id, name, category, version, position, created_at, updated_at, owner, epoch, forgotten,
       lease, crc
FROM streams
WHERE owner <> '' AND version > forgotten AND (? IS NULL OR category = ?)
ORDER BY position;

-- name: blob
SELECT checksum, data FROM blobs WHERE key = ?;

-- name: blob_number
SELECT blob_id FROM blobs WHERE key = ?;

-- name: add_blob
INSERT INTO blobs (key, checksum, data) VALUES (?, ?, ?);

-- name: need_blob
-- Versions grow, so the latest one that needs it is this one.
INSERT OR REPLACE INTO needs (stream_id, blob_id, version) VALUES (?, ?, ?);

-- name: needs
-- What a stream needs, and the last version that does.
SELECT b.key, n.version FROM needs n JOIN blobs b USING (blob_id)
WHERE n.stream_id = (SELECT stream_id FROM streams WHERE name = ?);

-- name: forgettable_words
-- What events belong to that are about to be forgotten.
SELECT DISTINCT correlation_id FROM events
WHERE stream_id = ? AND version <= ? AND +correlation_id <> 0;

-- name: forget_events
DELETE FROM events WHERE stream_id = ? AND version <= ?;

-- name: forget_word
-- Unless another event belongs to it, or it is a type.
UPDATE words SET text = CAST(word_id AS BLOB)
WHERE word_id = ? AND NOT lasting
  AND NOT EXISTS (SELECT 1 FROM events e INDEXED BY events_by_correlation
                  WHERE e.correlation_id = words.word_id AND e.correlation_id <> 0);

-- name: forgettable_blobs
-- What no later event of the stream needs.
SELECT blob_id FROM needs WHERE stream_id = ? AND version <= ?;

-- name: forget_needs
DELETE FROM needs WHERE stream_id = ? AND version <= ?;

-- name: forget_blob
-- Unless another stream needs it.
DELETE FROM blobs
WHERE blob_id = ? AND NOT EXISTS (SELECT 1 FROM needs n WHERE n.blob_id = blobs.blob_id);

-- name: forget_snapshots
DELETE FROM snapshots WHERE stream_id = ? AND version <= ?;

-- name: keep_snapshot
-- Only of a version that is there: neither to come nor forgotten.
INSERT OR REPLACE INTO snapshots (stream_id, version, schema, checksum, data)
SELECT e.stream_id, e.version, ?, ?, ? FROM events e WHERE e.stream_id = ? AND e.version = ?;

-- name: drop_other_snapshots
DELETE FROM snapshots WHERE stream_id = ? AND version <> ?;

-- name: snapshots
-- Those up to a version, the latest first.
SELECT stream_id, version, schema, checksum, data FROM snapshots
WHERE stream_id = (SELECT stream_id FROM streams WHERE name = ?) AND version <= ?
ORDER BY version DESC LIMIT 1;

-- name: view_by_name
SELECT view_id, position, crc FROM views WHERE name = ?;

-- name: add_view
INSERT INTO views (name, position) VALUES (?, 0);

-- name: move_view
UPDATE views SET position = ?, crc = ? WHERE view_id = ?;

-- name: drop_view
DELETE FROM views WHERE view_id = ?;

-- name: put_entry
INSERT OR REPLACE INTO entries (view_id, key, data, crc) VALUES (?, ?, ?, ?);

-- name: remove_entry
DELETE FROM entries WHERE view_id = ? AND key = ?;

-- name: remove_entries
DELETE FROM entries WHERE view_id = ?;

-- name: entries
-- A view's entries in key order: from one key on, without one (NULL, twice: with all), before another. A
-- blob comes after every text.
SELECT key, data, crc FROM entries
WHERE view_id = ?
  AND key >= ? AND (? IS NULL OR key <> ?) AND key < ?
ORDER BY key LIMIT ?;

-- name: set_meta
INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?);

-- name: format
SELECT value FROM meta WHERE key = 'format';
