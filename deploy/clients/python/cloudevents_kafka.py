"""The CloudEvents SDK, over kafka-python, against a running ledger.

    ledgerline connect --output json | python cloudevents_kafka.py

Each promise that holds is a line, "promise: what was seen"; the first that does not is an error.
"""

import hashlib
import json
import logging
import re
import sys
from datetime import timezone
from uuid import uuid4

from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
from cloudevents.core.formats.json import JSONFormat
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

# Topics that hold no CloudEvents: marks of the relay and of the log, and what a consumer parked.
NOT_EVENTS = {"ledger.position", "ledger.checkpoint", "ledger.dead-letter"}
UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def consumer(door, **changes):
    return KafkaConsumer(
        **{
            "bootstrap_servers": door["brokers"],
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": door["saslMechanism"],
            "sasl_plain_username": door["user"],
            "sasl_plain_password": door["password"],
            "consumer_timeout_ms": 20000,
        }
        | changes
    )


def to_the_end(topics, records):
    """Yields until every partition is read to what was its end."""
    ends = records.end_offsets([TopicPartition(t, p) for t in topics for p in records.partitions_for_topic(t)])
    ends = {p: end for p, end in ends.items() if end > 0}
    if not ends:
        return
    for record in records:
        yield record
        at = TopicPartition(record.topic, record.partition)
        if record.offset + 1 >= ends.get(at, 0):
            ends.pop(at, None)
        if not ends:
            return
    raise SystemExit(f"nothing more comes, with {ends} unread")


def check(event, record):
    """Raises where an attribute is not as the format of the messages says."""
    e, headers = event.get_attributes(), dict(record.headers)
    metadata = json.loads(headers["ledger_metadata"])
    if not (
        e["specversion"] == "1.0"
        and e["datacontenttype"] == "application/json"
        and UUID.fullmatch(e["id"])
        and re.fullmatch("urn:ledgerline:" + UUID.pattern, e["source"])
        and record.topic == "ledger." + e["subject"][:-37]
        and re.fullmatch(r"[a-z][a-z0-9.-]*\.v\d+", e["type"])
        and happened(e, headers) == metadata.get("occurredAt")
        and e["tenant"] == metadata["tenant"]
        and e["recordedtime"] == metadata["recordedAt"]
        and e["ledgerseq"].isdecimal()
        and e["ledgerrevision"].isdecimal()
        and re.fullmatch("[0-9a-f]{64}", e["ledgerleaf"])
        and isinstance(event.get_data(), dict)
    ):
        raise SystemExit(f"no event of a ledger: {e}")


def happened(e, headers):
    """The time in the form of the metadata. Where an event has none, this SDK makes one up: the present."""
    if "ce_time" not in headers:
        return None
    return e["time"].astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read(records, topics):
    events = []
    for record in to_the_end(topics, records):
        event = from_binary(KafkaMessage(dict(record.headers), record.key, record.value), JSONFormat())
        check(event, record)
        events.append((int(event.get_extension("ledgerseq")), event.get_id()))
    ids = [i for _, i in sorted(events)]
    return f"{len(ids)} events, {hashlib.sha256(chr(10).join(ids).encode()).hexdigest()}"


def refusal(attempt):
    try:
        attempt()
    except KafkaError as e:
        return type(e).__name__
    raise SystemExit("what should have been refused was done")


class Log(logging.Handler):
    """What the client logs, instead of standard error."""

    def __init__(self):
        super().__init__()
        self.lines = []
        logging.getLogger("kafka").addHandler(self)
        logging.getLogger("kafka").propagate = False

    def emit(self, record):
        self.lines.append(record.getMessage())

    def find(self, pattern):
        return next((m[1] for m in map(re.compile(pattern).search, self.lines) if m), None)


said = Log()
doors = json.load(sys.stdin)
reader = consumer(doors["kafka"])
topics = sorted(t for t in reader.topics() if t.startswith("ledger.") and t not in NOT_EVENTS)


def assign(chosen):
    reader.assign([TopicPartition(t, p) for t in chosen for p in reader.partitions_for_topic(t)])
    reader.seek_to_beginning()


assign(["ledger.device"])
print("ledger.device:", read(reader, ["ledger.device"]))
assign(topics)
print(f"every topic of events, {len(topics)}:", read(reader, topics))

if "consumer" in doors:
    afresh = {"group_id": f"cloudevents-{uuid4()}", "auto_offset_reset": "earliest", "enable_auto_commit": False}
    group = consumer(doors["consumer"], **afresh)
    group.subscribe(["ledger.device"])
    print("ledger.device in a group:", read(group, ["ledger.device"]))
    group.commit()
    group.close()
    lone = consumer(doors["kafka"], group_id="cloudevents")
    lone.subscribe(["ledger.device"])
    print("a group by an account that may only read:", refusal(lambda: next(lone)))
    lone.close()

# This client logs what the broker says, tries again, and then tells of the time that it took.
wrong = doors["kafka"] | {"password": "wrong"}
print("wrong password:", refusal(lambda: consumer(wrong, bootstrap_timeout_ms=3000)))
print("wrong password, said by the broker:", said.find(r"SaslAuthenticationFailedError: (Authentication failed.*?\(SCRAM-SHA-256\))"))
reader.close()
