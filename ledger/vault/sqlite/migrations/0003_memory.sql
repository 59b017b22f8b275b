-- What is remembered of streams: what reading one came to, sealed under a key that follows from the stream's, and gone
-- with it. Beside stream_key, and no column of it: a look for a key does not read past what is remembered.
CREATE TABLE memory (
  tenant BLOB NOT NULL,
  stream BLOB NOT NULL,
  sealed BLOB NOT NULL,
  PRIMARY KEY (tenant, stream),
  FOREIGN KEY (tenant, stream) REFERENCES stream_key(tenant, stream) ON DELETE CASCADE
) WITHOUT ROWID, STRICT;
