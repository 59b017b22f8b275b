"""clickhouse-connect, with its defaults, against a running ledger.

    ledgerline connect --output json | python clickhouse.py

Each promise that holds is a line, "promise: what was seen"; the first that does not is an error.
"""

import json
import re
import sys
from urllib.parse import urlsplit

import clickhouse_connect
from clickhouse_connect.driver.exceptions import ClickHouseError


def connect(door, **changes):
    url = urlsplit(door["url"])
    tls = {"secure": True, "ca_cert": door["caFile"]} if url.scheme == "https" else {}
    account = {"username": door["user"], "password": door["password"]}
    return clickhouse_connect.get_client(**{"host": url.hostname, "port": url.port} | account | tls | changes)


def refusal(attempt):
    """What ClickHouse calls its refusal: the last word in brackets of its message."""
    try:
        attempt()
    except ClickHouseError as e:
        return (re.findall(r"\(([A-Z_]{4,})\)", str(e)) or [str(e)])[-1]
    raise SystemExit("what should have been refused was done")


def halfway():
    """A statement that fails after a part of its result has been sent."""
    blocks = 0
    try:
        failing = "SELECT throwIf(number = 3000000, 'in the middle') FROM numbers(4000000)"
        with client.query_row_block_stream(failing) as stream:
            for _ in stream:
                blocks += 1
    finally:
        if not blocks:
            raise SystemExit("the error came before the first rows: this shows nothing of errors behind them")


door = json.load(sys.stdin)["clickhouse"]
client = connect(door)
if not client.params.get("session_id"):
    raise SystemExit("clickhouse-connect made no session id: its defaults have changed")

frame = client.query_df("SELECT stream, ledger_seq, occurred_at FROM ledgerline.events FINAL ORDER BY ledger_seq")
print("query_df:", len(frame), "events, sequences sum to", frame.ledger_seq.sum())
print("query_df: types", ", ".join(str(t.kind) for t in (frame.ledger_seq.dtype, frame.occurred_at.dtype)))

print(
    "parameters:",
    client.query(
        "SELECT count() FROM ledgerline.events FINAL"
        " WHERE startsWith(stream, {prefix:String}) AND ledger_seq >= {least:UInt64}",
        parameters={"prefix": "device-", "least": 0},
    ).first_row[0],
    "events",
)
print("session:", client.query("SELECT number FROM numbers(3)").result_rows)
print(
    "insert by an account that may only read:",
    refusal(lambda: client.insert("ledgerline.events", [["x"]], ["stream"])),
)
print("error in the middle of a result:", refusal(halfway))
print("wrong password:", refusal(lambda: connect(door, password="wrong")))
if door["url"].startswith("https:"):
    try:
        connect(door, ca_cert="certifi")
        raise SystemExit("a certificate was trusted that nobody vouches for")
    except ClickHouseError as e:
        print("without the authority:", "CERTIFICATE_VERIFY_FAILED" if "CERTIFICATE_VERIFY_FAILED" in str(e) else e)
client.close()
