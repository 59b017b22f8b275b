-- What clients send by themselves, when they connect and while they are used. Each statement must be allowed to the
-- account that its section names; a statement ends with a semicolon at the end of a line.

-- [reader] clickhouse-go, clickhouse-connect, @clickhouse/client, pandas
SELECT displayName(), version(), revision(), timezone();
SELECT version(), timezone();
SELECT version(), timezone(), displayName() FORMAT Native;
SELECT name, value, readonly as readonly FROM system.settings LIMIT 10000;
SELECT name, value, changed, description, type, readonly FROM system.settings WHERE name IN ('max_threads', 'date_time_input_format');
SELECT 1 AS "check";
SELECT 'x' AS host, currentUser(), currentDatabase(), hostName(), uptime();
DESCRIBE TABLE `clients`.`t`;
DESCRIBE TABLE clients.t SETTINGS describe_compact_output = 0;
SELECT name, type, default_kind, comment FROM system.columns WHERE database = 'clients' AND table = 't' ORDER BY position;
SELECT * FROM clients.t WHERE 1 = 0 LIMIT 0 FORMAT Native;
SELECT * FROM `clients`.`t` LIMIT 100 OFFSET 0 FORMAT JSONCompactEachRowWithNamesAndTypes;
SELECT * FROM clients.t FORMAT Arrow;
SELECT * FROM clients.t FORMAT Parquet;
SELECT count() FROM clients.t AS t FORMAT JSON;
EXISTS TABLE clients.t;
SHOW TABLES FROM clients;
SHOW DATABASES;
SELECT 1 FORMAT JSONEachRow;

-- [reader] JDBC, DBeaver
SELECT currentUser() AS user, timezone() AS timezone, version() AS version FORMAT RowBinaryWithNamesAndTypes;
SELECT timezone(), version(), toUInt8(0) AS x;
SELECT name FROM system.databases ORDER BY name;
select name as TABLE_SCHEM, null as TABLE_CATALOG from system.databases where name like '%';
SELECT '' AS TABLE_CAT, t.database AS TABLE_SCHEM, t.name AS TABLE_NAME, CASE WHEN t.engine LIKE '%Log' THEN 'LOG TABLE'
 WHEN t.engine LIKE '%View' THEN 'VIEW' WHEN t.is_temporary = 1 THEN 'TEMPORARY TABLE' ELSE 'TABLE' END AS TABLE_TYPE,
 t.comment AS REMARKS, null AS TYPE_CAT, d.engine AS TYPE_SCHEM, null AS TYPE_NAME, null AS SELF_REFERENCING_COL_NAME,
 null AS REF_GENERATION FROM system.tables t JOIN system.databases d ON system.tables.database = system.databases.name
 WHERE t.database LIKE '%' AND t.name LIKE '%' AND TABLE_TYPE IN ('TABLE', 'VIEW') ORDER BY t.database, t.name;
SELECT database, table, name, type, default_expression, comment, position, toInt32(type LIKE 'Nullable%') AS nullable,
 multiIf(type = 'String', 12, type LIKE '%Int64', -5, 1111) AS data_type, is_in_primary_key FROM system.columns WHERE database LIKE 'clients' AND table LIKE 't' ORDER BY position;
SELECT name, case_insensitive, alias_to FROM system.data_type_families ORDER BY name;
SELECT name, is_aggregate FROM system.functions WHERE NOT is_aggregate ORDER BY name;
SELECT name FROM system.table_functions;
SELECT * FROM system.table_engines;
SELECT * FROM system.tables WHERE database = 'clients' AND name = 't';
SELECT table, sum(rows) AS rows, formatReadableSize(sum(bytes_on_disk)) AS size FROM system.parts WHERE active AND database = 'clients' GROUP BY table;
SELECT * FROM system.dictionaries;
SELECT create_table_query FROM system.tables WHERE database = 'clients' AND name = 't';
SHOW CREATE TABLE clients.t;
SHOW CREATE VIEW clients.v;
SHOW CREATE DATABASE clients;
SELECT * FROM system.processes;
SHOW PROCESSLIST;
SELECT * FROM INFORMATION_SCHEMA.TABLES WHERE table_schema = 'clients';
SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'clients' AND table_name = 't';
DESC (SELECT a, b FROM clients.t WHERE a = 1);
EXPLAIN SELECT a FROM clients.t WHERE a = 1;
EXPLAIN indexes = 1 SELECT a FROM clients.t WHERE a = 1;
EXPLAIN PIPELINE SELECT a FROM clients.t;
EXPLAIN SYNTAX SELECT a FROM clients.t;
EXPLAIN AST SELECT 1;
USE clients;
SELECT keyword FROM system.keywords;

-- [reader] Grafana
SELECT 1;
SELECT DISTINCT(database) FROM system.tables;
SELECT name FROM system.tables WHERE database = 'clients';
DESC TABLE "clients"."t";
SELECT toStartOfInterval("d", INTERVAL 60 second) AS "time", count(*) AS "count" FROM "clients"."t" WHERE ( d >= toDateTime(1700000000) AND d <= toDateTime(1800000000) ) GROUP BY time ORDER BY time ASC LIMIT 1000;
SELECT toStartOfInterval(toDateTime64(d, 3), INTERVAL 20000 MILLISECOND) AS time, uniqExact(b) FROM clients.t WHERE d >= fromUnixTimestamp64Milli(1700000000000) AND d <= fromUnixTimestamp64Milli(1800000000000) GROUP BY time ORDER BY time;
SELECT d AS "time", b AS "Req/s", a FROM clients.t ORDER BY "Req/s" ASC LIMIT 10;
SELECT (intDiv(toUInt32(d), 60) * 60) * 1000 AS t, groupArray((b, c)) AS groupArr FROM (SELECT d, b, count() AS c FROM clients.t GROUP BY d, b ORDER BY d, b) GROUP BY t ORDER BY t;
SELECT distinct arrayJoin(mapKeys(m)) FROM (SELECT map('a', 1) AS m);
SELECT name FROM system.functions WHERE origin = 'System';

-- [reader] names that are no functions
SELECT 1 AS file, 2 AS url, 'file(1)' AS `remote`, "file" + `url`;
SELECT file, url, "s3", `executable` FROM (SELECT 1 AS file, 2 AS url, 3 AS s3, 4 AS executable);
SELECT t.file, t."url" FROM (SELECT 1 AS file, 2 AS url) AS t WHERE file = 1 ORDER BY url;
WITH 1 AS file SELECT file, toString(file), [file], (file, 1), sum(file), arrayMap(x -> x + file, [1]), arrayMap(x -> x, [file]) GROUP BY file;
WITH file AS (SELECT 1 AS url) SELECT url FROM file;
SELECT 'SELECT * FROM file(''/etc/passwd'')', $$url('x')$$, $x$ remote('y') $x$;
SELECT /* file('x') */ 1 -- url('y')
 ;
SELECT sum(file) FROM (SELECT arrayJoin([1, 2]) AS file) HAVING max(file) > 1;
SELECT "Req/s" FROM (SELECT 1 AS "Req/s") ORDER BY "Req/s";
SELECT settings, format FROM (SELECT 1 AS settings, 2 AS format) WHERE settings = 1;

-- [reader] SQL of many kinds
SELECT sumIf(a, a > 0), countIf(a = 1), uniqState(b), uniqMerge(s), quantile(0.5)(a), quantiles(0.5, 0.9)(a), groupArrayIf(3)(b, a = 1), topK(3)(b), argMax(b, d), anyLast(b), count(DISTINCT b), sumMap(map('x', a)) FROM (SELECT a, b, d, uniqState(b) AS s FROM clients.t GROUP BY a, b, d);
SELECT countDistinctIf(a, 1), sumOrNull(a), avgOrDefault(a), sumArray([a]), sumForEach([a]), any(b) IGNORE NULLS FROM clients.t;
SELECT CAST(a AS String), CAST(b, 'LowCardinality(String)'), a::Float64, toInt32OrNull(b), DATE '2020-01-01', TIMESTAMP '2020-01-01 00:00:00', INTERVAL 1 DAY, INTERVAL '2 week', a IN (1, 2, 3), b NOT IN ('x'), a BETWEEN 1 AND 2, b LIKE '%x', b ILIKE 'y', NOT a, -a, a % 2, a DIV 2, b || 'x', a = 1 ? 'y' : 'n', a IS NULL, b IS NOT NULL, CASE a WHEN 1 THEN 'x' ELSE 'y' END, CASE WHEN a = 1 THEN 2 END, if(a > 1, 1, 2) FROM clients.t;
SELECT EXTRACT(YEAR FROM d), SUBSTRING(b FROM 1 FOR 2), TRIM(BOTH ' ' FROM b), POSITION('x' IN b), DATE_ADD(DAY, 1, d), DATEDIFF(day, d, now()), DATE_SUB(YEAR, 1, d), TIMESTAMPADD(HOUR, 1, d), DATEADD(MONTH, 1, d), LTRIM(b), date_trunc('hour', d), d + INTERVAL 1 HOUR, tuple(a, b).1, [1, 2][1], map('a', 1)['a'], (1, 2) = (1, 2), EXISTS(SELECT 1), a > ALL (SELECT 1), a = ANY (SELECT 1) FROM clients.t;
SELECT row_number() OVER (PARTITION BY a ORDER BY d), lagInFrame(a) OVER w, sum(a) OVER (ORDER BY d ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM clients.t WINDOW w AS (PARTITION BY b ORDER BY d);
SELECT a, count() FROM clients.t GROUP BY GROUPING SETS ((a), ()) ORDER BY ALL;
SELECT a, grouping(a), count() FROM clients.t GROUP BY ROLLUP(a) WITH TOTALS;
SELECT * EXCEPT (b) REPLACE (a + 1 AS a) APPLY(toString) FROM clients.t;
SELECT COLUMNS('a|b') APPLY(x -> toString(x)) APPLY lower FROM (SELECT 1 AS a, 2 AS b);
SELECT * APPLY(quantile(0.5)), t.* APPLY(sum) FROM (SELECT 1 AS a, 2 AS b) AS t;
SELECT a FROM (SELECT 1 AS a, 2 AS b);
SELECT x.*, y.a FROM clients.t AS x LEFT JOIN clients.t AS y USING (a) ARRAY JOIN [1, 2] AS z WHERE x.a GLOBAL IN (SELECT a FROM clients.t) LIMIT 1 BY x.a LIMIT 5, 10;
SELECT * FROM clients.t AS x ASOF JOIN clients.t AS y ON x.a = y.a AND x.d >= y.d;
WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT sum(n) FROM r;
WITH (x -> x + 1) AS inc, 5 AS five SELECT inc(five), arrayMap(inc, [1, 2]), arrayMap(lower, ['A']), arraySort(x -> -x, [1, 2]), arrayReduce('max', [1, 2]), arrayReduce('quantile(0.5)', [1, 2]);
SELECT 1 UNION ALL SELECT 2 UNION DISTINCT SELECT 3 INTERSECT SELECT 3 EXCEPT SELECT 4;
SELECT * FROM numbers(3) AS a, generateSeries(1, 2) AS b, values('x UInt8', 1, 2) AS c, view(SELECT 1 AS v) AS d, (SELECT 2 AS w) AS e;
(SELECT 1);
FROM clients.t SELECT a LIMIT 1;
SELECT JSONExtractString('{"a":"b"}', 'a'), '{"a":1}'::JSON AS j, j.a, visitParamExtractInt('{"a":1}', 'a'), tupleElement((1, 2), 1);
SELECT a FROM clients.t SAMPLE 1 / 10 OFFSET 1 / 2;
SELECT a, b FROM clients.t ORDER BY a DESC NULLS LAST, b COLLATE 'en' LIMIT 3 WITH TIES;
SELECT a, d FROM clients.t ORDER BY d WITH FILL STEP INTERVAL 1 DAY INTERPOLATE (a AS a + 1);
SELECT SUM(a), Count(*), COALESCE(b, 'x'), LEFT(b, 2), NULLIF(b, 'x'), CURRENT_TIMESTAMP, now(), today() FROM clients.t GROUP BY b;
SELECT countMatches(b, 'x'), replaceRegexpAll(b, '(.)', '\\1'), splitByChar(',', b)[1], match(b, '^x'), format('{} {}', b, a), toStartOfMonth(d), formatDateTime(d, '%Y-%m'), dictionary FROM (SELECT a, b, d, 1 AS dictionary FROM clients.t);
SHOW COLUMNS FROM clients.t;
SHOW FULL TABLES FROM clients LIKE 't%';
SHOW TABLES FROM clients WHERE name = lower('T') AND name LIKE 't';
SHOW INDEX FROM clients.t;
SHOW FUNCTIONS LIKE 'low%';
SHOW SETTINGS LIKE 'max_th%';
SHOW ENGINES;
SELECT query_id FROM system.processes WHERE query_id = 'x';
SELECT * FROM system.one, system.numbers LIMIT 1;

-- [ledger] statements that write
CREATE DATABASE IF NOT EXISTS clients_w ENGINE = Atomic;
CREATE TABLE IF NOT EXISTS clients_w.t (a UInt64 CODEC(Delta, ZSTD(1)), b LowCardinality(String) DEFAULT lower('X'), d DateTime64(3, 'UTC') DEFAULT now64(3), m Map(String, UInt8), n Nested(x UInt8, y Array(String)), u UUID MATERIALIZED generateUUIDv4(), c String ALIAS concat(b, 'x'),
 INDEX i b TYPE bloom_filter(0.01) GRANULARITY 1, INDEX j lower(b) TYPE tokenbf_v1(256, 2, 0) GRANULARITY 4, PROJECTION p (SELECT b, count() GROUP BY b), CONSTRAINT k CHECK a >= 0)
 ENGINE = ReplacingMergeTree(a) PARTITION BY toYYYYMM(d) ORDER BY (a, b) TTL toDateTime(d) + INTERVAL 1 YEAR DELETE WHERE a = 1 SETTINGS index_granularity = 1024, fsync_after_insert = 1, deduplicate_merge_projection_mode = 'rebuild';
CREATE TABLE clients_w.file (file String, url UInt8, `settings` UInt8) ENGINE = Memory;
INSERT INTO clients_w.file (file, url, settings) VALUES ('x', 1, 2);
INSERT INTO clients_w.file (file, url, settings) SELECT file, url, settings FROM clients_w.file;
SELECT file, url, settings FROM clients_w.file WHERE url = 1;
INSERT INTO clients_w.t (a, b) VALUES (1, 'x'), (2, 'y');
INSERT INTO clients_w.t (a, b) SETTINGS async_insert = 0, insert_null_as_default = 1 VALUES (3, 'z');
INSERT INTO clients_w.t (a, b) SELECT number, toString(number) FROM numbers(3) SETTINGS max_threads = 1;
INSERT INTO clients_w.t (a, b) FORMAT JSONEachRow {"a": 5, "b": "v"};
INSERT INTO FUNCTION null('a UInt8') SELECT 1;
CREATE OR REPLACE VIEW clients_w.v AS SELECT a, b FROM clients_w.t FINAL WHERE a > 0;
CREATE TABLE clients_w.h (b String, c UInt64) ENGINE = AggregatingMergeTree ORDER BY b;
CREATE MATERIALIZED VIEW clients_w.mv TO clients_w.h AS SELECT b, count() AS c FROM clients_w.t GROUP BY b;
CREATE MATERIALIZED VIEW clients_w.mv2 ENGINE = SummingMergeTree ORDER BY b AS SELECT b, count() AS c FROM clients_w.t GROUP BY b;
CREATE TABLE clients_w.copy AS clients_w.t;
CREATE TABLE clients_w.made ENGINE = Memory AS SELECT 1 AS a;
CREATE TEMPORARY TABLE x (a UInt8) ENGINE = Memory;
ALTER TABLE clients_w.t ADD COLUMN e String DEFAULT upper(b) AFTER b, MODIFY SETTING index_granularity = 1024, fsync_after_insert = 1;
ALTER TABLE clients_w.t MODIFY COLUMN e String CODEC(ZSTD(3));
ALTER TABLE clients_w.t UPDATE e = lower(e) WHERE a = 1;
ALTER TABLE clients_w.t DELETE WHERE a = 99 SETTINGS mutations_sync = 1;
ALTER TABLE clients_w.t DROP COLUMN e;
CREATE INDEX k ON clients_w.t (a) TYPE minmax GRANULARITY 1;
DROP INDEX k ON clients_w.t;
DELETE FROM clients_w.h WHERE b = 'x';
OPTIMIZE TABLE clients_w.t FINAL;
CHECK TABLE clients_w.t;
RENAME TABLE clients_w.made TO clients_w.made2;
EXCHANGE TABLES clients_w.made2 AND clients_w.file;
TRUNCATE TABLE clients_w.h;
SYSTEM STOP MERGES clients_w.t;
SYSTEM START MERGES clients_w.t;
SET max_threads = 1, join_use_nulls = 1;
SELECT * FROM (EXPLAIN SELECT 1);
SELECT a FROM clients_w.t SETTINGS max_threads = 2, max_block_size = 1000, force_primary_key = 0 FORMAT TSV;
SELECT sleepEachRow(0.001) FROM numbers(2);
KILL QUERY WHERE query_id = 'none' ASYNC;
KILL QUERY WHERE Settings['log_comment'] = 'none' SYNC;
DROP VIEW clients_w.v;
DROP TABLE IF EXISTS clients_w.t SYNC;
DROP DATABASE clients_w SYNC;
