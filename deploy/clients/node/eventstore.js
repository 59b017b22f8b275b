// Node's client of the event store against a running ledger.
//
//	ledgerline connect --output json | node eventstore.js STREAM
//
// STREAM is one of the ledger's streams of devices. Each promise that holds is a line, "promise:
// what was seen"; the first that does not is an error.
"use strict";
const { createHash, randomUUID } = require("node:crypto");
const { readFileSync } = require("node:fs");
const { KurrentDBClient, NO_STREAM, START, jsonEvent, streamNameFilter } = require("@kurrent/kurrentdb-client");

// connect takes the connection string with the account. It names the file of the authority.
function connect(door, password = door.password) {
  const [scheme, rest] = door.url.split("://");
  return KurrentDBClient.connectionString(
    `${scheme}://${encodeURIComponent(door.user)}:${encodeURIComponent(password)}@${rest}`,
  );
}

const seen = (ids) => `${ids.length} events, ${createHash("sha256").update(ids.join("\n")).digest("hex")}`;

async function all(events) {
  const ids = [];
  for await (const { event } of events) ids.push(event.id);
  return ids;
}

async function refusal(attempt) {
  try {
    await attempt();
  } catch (e) {
    return e.constructor.name;
  }
  throw new Error("what should have been refused was done");
}

const order = () => jsonEvent({ type: "OrderPlaced", data: { total: 12 } });

async function main() {
  const doors = JSON.parse(readFileSync(0, "utf8"));
  const stream = process.argv[2];
  const reader = doors.eventstore;
  const client = connect(reader);
  const filter = streamNameFilter({ prefixes: ["device-"] });

  console.log("stream:", seen(await all(client.readStream(stream))));
  console.log("$all, filtered:", seen(await all(client.readAll({ filter }))));

  const ids = [];
  const subscription = client.subscribeToAll({ filter, fromPosition: START });
  const caught = await new Promise((resolve, reject) => {
    subscription.on("data", ({ event }) => ids.push(event.id));
    subscription.once("caughtUp", resolve);
    subscription.once("error", reject);
  });
  await subscription.unsubscribe();
  if (!(caught?.date?.getTime() > 0) || !caught?.position) throw new Error("CaughtUp without time or position");
  console.log("subscription until caught up:", seen(ids));

  const append = (by) => by.appendToStream(`order-${randomUUID()}`, order(), { streamState: NO_STREAM });
  console.log("append by an account that may only read:", await refusal(() => append(client)));
  if (doors.writer) {
    const writer = connect({ ...reader, ...doors.writer });
    console.log("append by a writer: revision", String((await append(writer)).nextExpectedRevision));
    await writer.dispose();
  }

  const wrong = connect(reader, "wrong");
  console.log("wrong password:", await refusal(() => all(wrong.readStream(stream))));
  await wrong.dispose();
  const system = connect({ ...reader, url: reader.url.split("?")[0] + "?tls=true" });
  console.log("without the authority:", await refusal(() => all(system.readStream(stream))));
  await system.dispose();
  await client.dispose();
}

main().catch((e) => {
  console.error(e);
  process.exit(1); // open connections would keep it alive
});
