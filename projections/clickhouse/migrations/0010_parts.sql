-- A part of up to 64 MiB is one file: an insert syncs each file of a part, and of events there were some hundred from 10 MiB on.
ALTER TABLE events MODIFY SETTING min_bytes_for_wide_part = 67108864;
