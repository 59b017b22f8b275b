// ClickHouse's own Node client against a running ledger.
//
//	ledgerline connect --output json | node clickhouse.js
//
// Each promise that holds is a line, "promise: what was seen"; the first that does not is an error.
"use strict";
const { readFileSync } = require("node:fs");
const { ClickHouseLogLevel, createClient } = require("@clickhouse/client");

const quiet = { log: { level: ClickHouseLogLevel.OFF } }; // it would log each error that is expected here

function connect(door, changes = {}) {
  const tls = door.caFile ? { tls: { ca_cert: readFileSync(door.caFile) } } : {};
  return createClient({ url: door.url, username: door.user, password: door.password, ...tls, ...quiet, ...changes });
}

async function refusal(attempt) {
  try {
    await attempt();
  } catch (e) {
    return e.type ?? e.code ?? String(e);
  }
  throw new Error("what should have been refused was done");
}

async function main() {
  const door = JSON.parse(readFileSync(0, "utf8")).clickhouse;
  const client = connect(door);

  const rows = await (
    await client.query({
      query: "SELECT ledger_seq FROM ledgerline.events FINAL ORDER BY ledger_seq",
      format: "JSONEachRow",
    })
  ).json();
  const sum = rows.reduce((n, r) => n + BigInt(r.ledger_seq), 0n);
  console.log("query:", rows.length, "events, sequences sum to", String(sum));

  let streamed = 0;
  const result = await client.query({ query: "SELECT number FROM numbers(200000)", format: "JSONCompactEachRow" });
  for await (const batch of result.stream()) streamed += batch.length;
  console.log("stream:", streamed, "rows");

  const [{ n }] = await (
    await client.query({
      query: "SELECT count() AS n FROM ledgerline.events FINAL WHERE startsWith(stream, {prefix:String})",
      query_params: { prefix: "device-" },
      format: "JSONEachRow",
    })
  ).json();
  console.log("parameters:", String(n), "events");

  console.log("error:", await refusal(() => client.query({ query: "SELECT nothing FROM ledgerline.events" })));
  let before = 0;
  const middle = "SELECT throwIf(number = 3000000, 'in the middle') FROM numbers(4000000)";
  console.log(
    "error in the middle of a result:",
    await refusal(async () => {
      const result = await client.query({ query: middle, format: "JSONCompactEachRow" });
      for await (const batch of result.stream()) before += batch.length;
    }),
  );
  if (before === 0) throw new Error("the error came before the first rows: this shows nothing of errors behind them");
  const row = { table: "ledgerline.events", values: [{ stream: "x" }], format: "JSONEachRow" };
  console.log("insert by an account that may only read:", await refusal(() => client.insert(row)));
  const wrong = connect(door, { password: "wrong" });
  console.log("wrong password:", await refusal(() => wrong.query({ query: "SELECT 1" })));
  await wrong.close();
  if (door.caFile) {
    const system = connect(door, { tls: undefined });
    console.log("without the authority:", await refusal(() => system.query({ query: "SELECT 1" })));
    await system.close();
  }
  await client.close();
}

main().catch((e) => {
  console.error(e);
  process.exit(1); // open connections would keep it alive
});
