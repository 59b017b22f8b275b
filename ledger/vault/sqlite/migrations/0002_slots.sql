-- From here on what is an owner's is wrapped under the owner's key, which lies in a slot of the slots file. Zero is no
-- slot. Rows of version 1 are wrapped under the key-encryption key (epoch > 0) until the vault has rewrapped them: it
-- alone has that key. The setting says that it must (1), that the file is to be rebuilt after it (2), or neither (0).

ALTER TABLE owner      ADD COLUMN slot INTEGER NOT NULL DEFAULT 0;
ALTER TABLE period_key ADD COLUMN slot INTEGER NOT NULL DEFAULT 0;
ALTER TABLE stream_key ADD COLUMN slot INTEGER NOT NULL DEFAULT 0;
ALTER TABLE erasure    ADD COLUMN claimed INTEGER;

-- Empty but while the rewrapping goes on: they find what is left to do.
CREATE INDEX owner_slotless      ON owner (tenant, kind, id)   WHERE slot = 0 AND state < 3;
CREATE INDEX stream_key_slotless ON stream_key (tenant, stream) WHERE key_epoch > 0;

-- Slots that a committed transaction gave up and that are to be overwritten.
CREATE TABLE retired_slot (
  slot INTEGER PRIMARY KEY
) STRICT;

INSERT INTO setting (name, value) VALUES ('legacy', x'01');
