CREATE INDEX IF NOT EXISTS store_vectors_embedding_idx ON store_vectors
USING {kind} (embedding {type}_{distance}_ops) {parameters}
