-- Streams, events and owners. `{schema}` stands for the schema that the log has to itself.

-- What was done here, by number; the highest one is the format of the tables.
CREATE TABLE {schema}.migrations (
    number integer PRIMARY KEY,
    name   text NOT NULL,
    at     timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- One row per stream: where it ends, what of it is forgotten, and who owns it. `epoch` counts claims and
-- never goes back, so that a late owner can be told from the present one. The free space lets rows change
-- in place, without touching an index.
CREATE SEQUENCE {schema}.stream_numbers AS bigint;
CREATE TABLE {schema}.streams (
    stream_id  bigint PRIMARY KEY,
    name       text COLLATE "C" NOT NULL UNIQUE,
    category   text COLLATE "C" NOT NULL,
    version    bigint NOT NULL,
    position   bigint NOT NULL,
    forgotten  bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    owner      text COLLATE "C" NOT NULL,
    epoch      bigint NOT NULL
) WITH (fillfactor = 60);
CREATE INDEX streams_by_owner ON {schema}.streams (owner) WHERE owner <> '';
CREATE INDEX streams_by_category ON {schema}.streams (category);

-- Who may own streams: one row per open log that has claimed something. Its owners are left alone up to
-- `lease`, by the clock of this server alone.
CREATE TABLE {schema}.instances (
    instance text COLLATE "C" PRIMARY KEY,
    lease    timestamptz NOT NULL
) WITH (fillfactor = 60);

-- The events, in the global order. Positions are drawn under a lock that is held until the commit can be
-- seen, so that they are in the order of commits. `mark` is the CRC-32 of the data, plus 2^32 when `data` holds
-- a zstd frame of it.
CREATE SEQUENCE {schema}.positions AS bigint;
CREATE TABLE {schema}.events (
    position       bigint PRIMARY KEY,
    stream_id      bigint NOT NULL,
    version        bigint NOT NULL,
    at             bigint NOT NULL,
    epoch          bigint NOT NULL,
    mark           bigint NOT NULL,
    schema         integer NOT NULL,
    event_id       uuid NOT NULL,
    causation_id   uuid,
    type           text COLLATE "C" NOT NULL,
    correlation_id text COLLATE "C" NOT NULL,
    fingerprint    text COLLATE "C" NOT NULL,
    data           bytea NOT NULL
);

-- What can be packed was packed before it came here.
ALTER TABLE {schema}.events ALTER COLUMN data SET STORAGE EXTERNAL;

-- Reads of one stream.
CREATE UNIQUE INDEX events_by_stream ON {schema}.events (stream_id, version);

-- An event is in the log once. UUIDv7 ids grow, so that this index is written at its end.
CREATE UNIQUE INDEX events_by_id ON {schema}.events (event_id);

-- What belongs together, in its order.
CREATE INDEX events_by_correlation ON {schema}.events (correlation_id, position) WHERE correlation_id <> '';

-- For people with a shell; the program does not use it.
CREATE VIEW {schema}.log AS
SELECT e.position, s.name AS stream, e.version, s.category, e.type, e.schema, e.event_id, e.correlation_id,
       e.causation_id, to_timestamp(e.at / 1e9) AS at, e.epoch, e.fingerprint, e.mark, e.data
FROM {schema}.events e JOIN {schema}.streams s USING (stream_id);
