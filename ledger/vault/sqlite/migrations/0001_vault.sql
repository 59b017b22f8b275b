-- The vault's rows. uuids and hashes are blobs; times are milliseconds since 1970, UTC, NULL for none; what names
-- somebody or opens something is wrapped by the key-encryption key (column pairs *_epoch, *).
-- WITHOUT ROWID keeps a row in one place, so that deleting it leaves no second copy behind.

CREATE TABLE setting (
  name  TEXT PRIMARY KEY,
  value BLOB NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TABLE tenant (
  id            BLOB PRIMARY KEY,
  name_hash     BLOB NOT NULL UNIQUE,
  profile_epoch INTEGER NOT NULL,
  profile       BLOB NOT NULL,
  lookup_epoch  INTEGER NOT NULL,
  lookup        BLOB NOT NULL,
  record_epoch  INTEGER NOT NULL,
  record        BLOB NOT NULL,
  policy        INTEGER NOT NULL,
  created       INTEGER
) WITHOUT ROWID, STRICT;

CREATE TABLE owner (
  tenant     BLOB NOT NULL REFERENCES tenant(id),
  kind       TEXT NOT NULL,
  id         BLOB NOT NULL,
  state      INTEGER NOT NULL,
  created    INTEGER,
  identified INTEGER NOT NULL,
  ownership  TEXT NOT NULL,
  user       BLOB NOT NULL,
  generation INTEGER NOT NULL,
  PRIMARY KEY (tenant, kind, id)
) WITHOUT ROWID, STRICT;

CREATE TABLE identity (
  tenant      BLOB NOT NULL REFERENCES tenant(id),
  id          BLOB NOT NULL,
  owner_kind  TEXT NOT NULL,
  owner       BLOB NOT NULL,
  kind        TEXT NOT NULL,
  hash        BLOB NOT NULL,
  value_epoch INTEGER NOT NULL,
  value       BLOB NOT NULL,
  first       INTEGER,
  last        INTEGER,
  PRIMARY KEY (tenant, kind, hash, id), -- a lookup reads one place
  FOREIGN KEY (tenant, owner_kind, owner) REFERENCES owner(tenant, kind, id)
) WITHOUT ROWID, STRICT;
CREATE INDEX identity_by_owner ON identity (tenant, owner_kind, owner);

CREATE TABLE holding (
  tenant     BLOB NOT NULL REFERENCES tenant(id),
  device     BLOB NOT NULL,
  generation INTEGER NOT NULL,
  ownership  TEXT NOT NULL,
  person     BLOB NOT NULL,
  since      INTEGER,
  until      INTEGER,
  PRIMARY KEY (tenant, device, generation)
) WITHOUT ROWID, STRICT;
CREATE INDEX holding_by_person ON holding (tenant, person);

-- A destroyed key keeps its id alone: owner_kind and class are empty, owner and key zero-length.
CREATE TABLE subject_key (
  tenant     BLOB NOT NULL REFERENCES tenant(id),
  id         BLOB NOT NULL,
  owner_kind TEXT NOT NULL,
  owner      BLOB NOT NULL,
  generation INTEGER NOT NULL,
  class      TEXT NOT NULL,
  key_epoch  INTEGER NOT NULL,
  key        BLOB NOT NULL,
  state      INTEGER NOT NULL,
  PRIMARY KEY (tenant, id)
) WITHOUT ROWID, STRICT;
CREATE UNIQUE INDEX subject_key_by_owner ON subject_key (tenant, owner_kind, owner, generation, class) WHERE state < 3;

CREATE TABLE period_key (
  tenant    BLOB NOT NULL REFERENCES tenant(id),
  class     TEXT NOT NULL,
  month     TEXT NOT NULL,
  id        BLOB NOT NULL,
  key_epoch INTEGER NOT NULL,
  key       BLOB NOT NULL,
  destroyed INTEGER NOT NULL,
  PRIMARY KEY (tenant, class, month)
) WITHOUT ROWID, STRICT;

-- subject_key is zero-length in a tombstone.
CREATE TABLE alias (
  tenant      BLOB NOT NULL REFERENCES tenant(id),
  id          BLOB NOT NULL,
  subject_key BLOB NOT NULL,
  class       TEXT NOT NULL,
  month       TEXT NOT NULL,
  state       INTEGER NOT NULL,
  PRIMARY KEY (tenant, id)
) WITHOUT ROWID, STRICT;
CREATE INDEX alias_by_key    ON alias (tenant, subject_key) WHERE state = 1;
CREATE INDEX alias_by_period ON alias (tenant, class, month) WHERE state = 1;

CREATE TABLE mapping (
  tenant    BLOB NOT NULL REFERENCES tenant(id),
  hash      BLOB NOT NULL,
  stream    TEXT NOT NULL,
  concerned BLOB NOT NULL,
  PRIMARY KEY (tenant, hash)
) WITHOUT ROWID, STRICT;
CREATE INDEX mapping_by_concerned ON mapping (tenant, concerned);

CREATE TABLE stream_key (
  tenant    BLOB NOT NULL REFERENCES tenant(id),
  stream    BLOB NOT NULL,
  key_epoch INTEGER NOT NULL,
  key       BLOB NOT NULL,
  PRIMARY KEY (tenant, stream)
) WITHOUT ROWID, STRICT;

CREATE TABLE suppression (
  tenant BLOB NOT NULL REFERENCES tenant(id),
  hash   BLOB NOT NULL,
  erased INTEGER NOT NULL,
  PRIMARY KEY (tenant, hash)
) WITHOUT ROWID, STRICT;

-- keys is a row of 16-byte uuids.
CREATE TABLE erasure (
  completion BLOB PRIMARY KEY,
  tenant     BLOB NOT NULL REFERENCES tenant(id),
  person     BLOB NOT NULL,
  state      INTEGER NOT NULL,
  begun      INTEGER,
  keys       BLOB NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TABLE hold (
  tenant     BLOB NOT NULL REFERENCES tenant(id),
  id         BLOB NOT NULL,
  owner_kind TEXT NOT NULL,
  owner      BLOB NOT NULL,
  placed     INTEGER,
  PRIMARY KEY (tenant, id)
) WITHOUT ROWID, STRICT;
