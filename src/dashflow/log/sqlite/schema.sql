-- Format 3 of the log in SQLite. A fresh file gets this; an older one is brought here by migrations/.

-- name: tables
-- What the file is, for programs that come later.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value NOT NULL
) WITHOUT ROWID;

-- Texts that come back in event after event (types, correlation ids, fingerprints), kept once.
-- Number 0 is the empty text and has no row. `lasting`: used as a type or a fingerprint; any other one
-- is forgotten with the last event that belongs to it. A number is never given to a second text, so the
-- row of a forgotten one stays, with its number (a blob, which no text equals) in the text's place.
-- `crc`, here and below: what `places.py` says of the row.
CREATE TABLE words (
    word_id INTEGER PRIMARY KEY,
    text    TEXT NOT NULL UNIQUE,
    lasting INTEGER NOT NULL DEFAULT 0,
    crc     INTEGER NOT NULL DEFAULT -1
);

-- One row per stream: where it ends and who owns it. `epoch` counts claims and never goes back, so
-- that a late owner can be told from the present one; `lease` is the time (nanoseconds since the
-- Unix epoch) up to which the owner is left alone. The events up to `forgotten` are gone on purpose.
CREATE TABLE streams (
    stream_id  INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    category   TEXT NOT NULL,
    version    INTEGER NOT NULL DEFAULT 0,
    position   INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL DEFAULT 0,
    updated_at INTEGER NOT NULL DEFAULT 0,
    owner      TEXT NOT NULL DEFAULT '',
    epoch      INTEGER NOT NULL DEFAULT 0,
    lease      INTEGER NOT NULL DEFAULT 0,
    forgotten  INTEGER NOT NULL DEFAULT 0,
    crc        INTEGER NOT NULL DEFAULT -1
);

-- A second way to find a stream by its name: that the first one finds none may be damage.
CREATE UNIQUE INDEX streams_by_category ON streams (category, name);

-- The events, in the global order. One transaction writes at a time (BEGIN IMMEDIATE), so positions
-- are the order of commits. `checksum` is the CRC-32 of the data mixed with that of the other columns, plus
-- 2^33, plus 2^32 when `data` is a zstd frame that holds it. Events of before format 3: of the data alone,
-- and without 2^33.
CREATE TABLE events (
    position       INTEGER PRIMARY KEY,
    stream_id      INTEGER NOT NULL,
    version        INTEGER NOT NULL,
    type           INTEGER NOT NULL,
    schema         INTEGER NOT NULL,
    event_id       BLOB NOT NULL,
    correlation_id INTEGER NOT NULL,
    causation_id   BLOB NOT NULL,
    at             INTEGER NOT NULL,
    epoch          INTEGER NOT NULL,
    fingerprint    INTEGER NOT NULL,
    checksum       INTEGER NOT NULL,
    data           BLOB NOT NULL
);

-- Reads of one stream; also holds the position, so that "where is version n" needs no event.
CREATE UNIQUE INDEX events_by_stream ON events (stream_id, version);

-- An event is in the log once. UUIDv7 ids grow, so that this index is written at its end.
CREATE UNIQUE INDEX events_by_id ON events (event_id);

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
    position INTEGER NOT NULL,
    crc      INTEGER NOT NULL DEFAULT -1
);

CREATE TABLE entries (
    view_id INTEGER NOT NULL,
    key     TEXT NOT NULL,
    data    BLOB NOT NULL,
    crc     INTEGER NOT NULL DEFAULT -1,
    PRIMARY KEY (view_id, key)
) WITHOUT ROWID;

-- Rows that could not be read, as they were found; `why` says what was wrong with them.
CREATE TABLE aside (
    aside_id INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    stream   TEXT NOT NULL,
    version  INTEGER NOT NULL,
    why      TEXT NOT NULL,
    kept     BLOB NOT NULL
);

-- For people with a SQLite shell; the program does not use it.
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
