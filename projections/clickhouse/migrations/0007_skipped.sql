-- The foreign records that projectors skipped: one that starts again does not read those below its position again.
-- ORDER BY projector: one row each, the one with the highest saved.
CREATE TABLE IF NOT EXISTS projector_skipped (
  projector String, saved UInt64, skipped Nested(partition String, count UInt64, first Int64, last Int64)
) ENGINE = ReplacingMergeTree(saved) ORDER BY projector
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
