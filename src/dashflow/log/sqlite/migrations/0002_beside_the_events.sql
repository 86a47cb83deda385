-- From format 1 to format 2: large values, snapshots and views beside the events; an index of what belongs
-- together; packed data. No event is rewritten; the words that are types or fingerprints are found by
-- looking at every event once.

ALTER TABLE words ADD COLUMN lasting INTEGER NOT NULL DEFAULT 0;

UPDATE words SET lasting = 1
WHERE word_id IN (SELECT type FROM events UNION SELECT fingerprint FROM events);

-- What belongs together, over all streams. Events that belong to nothing cost nothing here.
CREATE INDEX events_by_correlation ON events (correlation_id) WHERE correlation_id <> 0;

-- Large values of events, by the key that their writer chose. `checksum` as in `events`.
CREATE TABLE blobs (
    blob_id  INTEGER PRIMARY KEY,
    key      BLOB NOT NULL UNIQUE,
    checksum INTEGER NOT NULL,
    data     BLOB NOT NULL
);

-- Which stream needs a blob, and the last version of it that does. History is forgotten from its
-- beginning, so that earlier versions need no row.
CREATE TABLE needs (
    stream_id INTEGER NOT NULL,
    blob_id   INTEGER NOT NULL,
    version   INTEGER NOT NULL,
    PRIMARY KEY (stream_id, blob_id)
) WITHOUT ROWID;

CREATE INDEX needs_by_blob ON needs (blob_id);

-- What folding a stream came to; can be made again from its events.
CREATE TABLE snapshots (
    stream_id INTEGER NOT NULL,
    version   INTEGER NOT NULL,
    schema    INTEGER NOT NULL,
    checksum  INTEGER NOT NULL,
    data      BLOB NOT NULL,
    PRIMARY KEY (stream_id, version)
);

-- What readers of the whole log made of it up to `position`; can be made again from its events.
CREATE TABLE views (
    view_id  INTEGER PRIMARY KEY,
    name     TEXT NOT NULL UNIQUE,
    position INTEGER NOT NULL
);

CREATE TABLE entries (
    view_id INTEGER NOT NULL,
    key     TEXT NOT NULL,
    data    BLOB NOT NULL,
    PRIMARY KEY (view_id, key)
) WITHOUT ROWID;

-- The view for people, which tells packed data from plain data now.
DROP VIEW log;

CREATE VIEW log AS
SELECT e.position, s.name AS stream, e.version, s.category, t.text AS type, e.schema,
       lower(hex(e.event_id)) AS event_id, coalesce(c.text, '') AS correlation_id,
       lower(hex(e.causation_id)) AS causation_id,
       strftime('%Y-%m-%dT%H:%M:%fZ', e.at / 1e9, 'unixepoch') AS at,
       e.epoch, coalesce(f.text, '') AS fingerprint, e.checksum & 0xFFFFFFFF AS checksum,
       e.checksum >> 32 AS packed, e.data
FROM events e
JOIN streams s USING (stream_id)
LEFT JOIN words t ON t.word_id = e.type
LEFT JOIN words c ON c.word_id = e.correlation_id
LEFT JOIN words f ON f.word_id = e.fingerprint;
