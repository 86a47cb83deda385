-- What stands beside the events: large values, snapshots, views.

-- Large values by the hash of their content; `mark` and `data` as in `events`.
CREATE TABLE {schema}.blobs (
    key  bytea PRIMARY KEY,
    mark bigint NOT NULL,
    data bytea NOT NULL
);
ALTER TABLE {schema}.blobs ALTER COLUMN data SET STORAGE EXTERNAL;

-- Which event needs which of them, so that the last one that goes takes it along.
CREATE TABLE {schema}.blob_uses (
    position bigint NOT NULL,
    key      bytea NOT NULL,
    PRIMARY KEY (position, key)
);
CREATE INDEX blob_uses_by_key ON {schema}.blob_uses (key);

-- What folding a stream up to a version came to.
CREATE TABLE {schema}.snapshots (
    stream_id bigint NOT NULL,
    version   bigint NOT NULL,
    schema    integer NOT NULL,
    mark      bigint NOT NULL,
    data      bytea NOT NULL,
    PRIMARY KEY (stream_id, version)
);
ALTER TABLE {schema}.snapshots ALTER COLUMN data SET STORAGE EXTERNAL;

-- Views by name, how far each has seen the log, and its entries.
CREATE TABLE {schema}.views (
    view_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name     text COLLATE "C" NOT NULL UNIQUE,
    position bigint NOT NULL
) WITH (fillfactor = 60);
CREATE TABLE {schema}.view_entries (
    view_id bigint NOT NULL,
    key     text COLLATE "C" NOT NULL,
    value   bytea NOT NULL,
    PRIMARY KEY (view_id, key)
);
