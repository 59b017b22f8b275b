-- Which records were taken, a page of them a row: sealed under a key that follows from the tenant's. first names a
-- page, as_of is the count of its tenant's unsettlings when it was written, seen the day on which it was last read.
CREATE TABLE known_page (
  tenant BLOB NOT NULL REFERENCES tenant(id),
  first  BLOB NOT NULL,
  as_of  INTEGER NOT NULL,
  seen   INTEGER NOT NULL,
  sealed BLOB NOT NULL,
  PRIMARY KEY (tenant, first)
) WITHOUT ROWID, STRICT;
CREATE INDEX known_page_by_seen  ON known_page (tenant, seen);
CREATE INDEX known_page_by_as_of ON known_page (tenant, as_of);

-- What pages of an earlier count may no longer be believed of: tags of eight bytes, one behind the other.
CREATE TABLE known_unsettled (
  tenant BLOB NOT NULL REFERENCES tenant(id),
  at     INTEGER NOT NULL,
  tags   BLOB NOT NULL,
  PRIMARY KEY (tenant, at)
) WITHOUT ROWID, STRICT;
