-- From format 2 to format 3: checksums of everything that is trusted, not of payloads alone; a second way to
-- find a stream by its name; which part of a stream was forgotten. No event is rewritten: those that are there
-- keep the checksum of their payload, new ones have one of their envelope too.

ALTER TABLE words ADD COLUMN crc INTEGER NOT NULL DEFAULT -1;

UPDATE words SET crc = crc_of_word(word_id, text) WHERE typeof(text) = 'text';

ALTER TABLE streams ADD COLUMN forgotten INTEGER NOT NULL DEFAULT 0;

UPDATE streams SET forgotten = coalesce(
    (SELECT min(e.version) - 1 FROM events e WHERE e.stream_id = streams.stream_id), version);

ALTER TABLE streams ADD COLUMN crc INTEGER NOT NULL DEFAULT -1;

UPDATE streams SET crc = crc_of_stream(
    stream_id, name, category, version, position, created_at, updated_at, owner, epoch, forgotten);

CREATE UNIQUE INDEX streams_by_category ON streams (category, name);

ALTER TABLE views ADD COLUMN crc INTEGER NOT NULL DEFAULT -1;

UPDATE views SET crc = crc_of_view(view_id, name, position);

ALTER TABLE entries ADD COLUMN crc INTEGER NOT NULL DEFAULT -1;

UPDATE entries SET crc = crc_of_entry(view_id, key, data);

-- Rows that could not be read, as they were found; `why` says what was wrong with them.
CREATE TABLE aside (
    aside_id INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    stream   TEXT NOT NULL,
    version  INTEGER NOT NULL,
    why      TEXT NOT NULL,
    kept     BLOB NOT NULL
);

-- The view for people: bit 32 of the number says that the data is packed, bit 33 that the envelope counts.
DROP VIEW log;

CREATE VIEW log AS
SELECT e.position, s.name AS stream, e.version, s.category, t.text AS type, e.schema,
       lower(hex(e.event_id)) AS event_id, coalesce(c.text, '') AS correlation_id,
       lower(hex(e.causation_id)) AS causation_id,
       strftime('%Y-%m-%dT%H:%M:%fZ', e.at / 1e9, 'unixepoch') AS at,
       e.epoch, coalesce(f.text, '') AS fingerprint, e.checksum & 0xFFFFFFFF AS checksum,
       e.checksum >> 32 & 1 AS packed, e.data
FROM events e
JOIN streams s USING (stream_id)
LEFT JOIN words t ON t.word_id = e.type
LEFT JOIN words c ON c.word_id = e.correlation_id
LEFT JOIN words f ON f.word_id = e.fingerprint;
