"""The Python client of the event store against a running ledger.

    ledgerline connect --output json | python eventstore.py STREAM

STREAM is one of the ledger's streams of devices. Each promise that holds is a line, "promise: what
was seen"; the first that does not is an error.
"""

import hashlib
import json
import sys
from urllib.parse import quote
from uuid import uuid4

from kurrentdbclient import KurrentDBClient, NewEvent, StreamState
from kurrentdbclient.exceptions import KurrentDBClientError


def uri(door, password=None):
    """The connection string with the account. It names the file of the authority."""
    scheme, rest = door["url"].split("://", 1)
    account = f"{quote(door['user'], safe='')}:{quote(password or door['password'], safe='')}"
    return f"{scheme}://{account}@{rest}"


def seen(ids):
    return f"{len(ids)} events, {hashlib.sha256(chr(10).join(ids).encode()).hexdigest()}"


def refusal(attempt):
    try:
        attempt()
    except KurrentDBClientError as e:
        return type(e).__name__
    raise SystemExit("what should have been refused was done")


def append(by):
    """Returns the stream."""
    name = f"order-{uuid4()}"
    by.append_to_stream(
        name, current_version=StreamState.NO_STREAM, events=NewEvent(type="OrderPlaced", data=b'{"total": 12}')
    )
    return name


doors, stream = json.load(sys.stdin), sys.argv[1]
reader = doors["eventstore"]
client = KurrentDBClient(uri(reader))

print("stream:", seen([str(e.id) for e in client.get_stream(stream)]))

with client.read_all(filter_include=["device-"], filter_by_stream_name=True, filter_by_prefix=True) as events:
    print("$all, filtered:", seen([str(e.id) for e in events]))

ids = []
with client.subscribe_to_all(
    filter_include=["device-"], filter_by_stream_name=True, filter_by_prefix=True, include_caught_up=True, timeout=30
) as subscription:
    for event in subscription:
        if event.is_caught_up:
            caught = event
            break
        ids.append(str(event.id))
if not caught.recorded_at or not caught.commit_position:
    raise SystemExit(f"CaughtUp without time or position: {caught}")
print("subscription until caught up:", seen(ids))

print("append by an account that may only read:", refusal(lambda: append(client)))

if "writer" in doors:
    writer = KurrentDBClient(uri(reader | doors["writer"]))
    print("append by a writer: revision", writer.get_current_version(append(writer)))
    writer.close()

wrong = KurrentDBClient(uri(reader, "wrong"))
print("wrong password:", refusal(lambda: wrong.get_stream(stream)))
wrong.close()

system = uri(reader).split("?")[0] + "?tls=true"
print("without the authority:", refusal(lambda: KurrentDBClient(system).get_stream(stream, timeout=5)))
client.close()
