-- What the savers ask of a database beside its log.

-- name: langgraphs_tables
-- Whether LangGraph's savers have been here.
SELECT to_regclass('checkpoints') IS NOT NULL AND to_regclass('checkpoint_migrations') IS NOT NULL;

-- name: langgraphs_threads
-- Whether they left anything.
SELECT EXISTS (SELECT 1 FROM checkpoints);
