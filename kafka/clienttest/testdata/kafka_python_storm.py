"""kafka-python on a cluster in upheaval; storm_test.go says what it does. Releases before 3 have no producer that is idempotent.

It has no transactions there: 3.0.12 forgets a request whose coordinator refuses the connection, and waits for its answer for ever (sender.py,
_maybe_send_pending_request)."""
import json
import faulthandler; faulthandler.dump_traceback_later(20)
import os
import sys
import threading

import kafka
from kafka import KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError

KEYS = 4
PATIENCE = 60  # seconds
addrs, plain, _, group = sys.argv[1:]
common = {"bootstrap_servers": addrs.split(","), "reconnect_backoff_ms": 20, "reconnect_backoff_max_ms": 100, "retry_backoff_ms": 20}
old = kafka.__version__.startswith("2.")
over = threading.Event()
begun = [threading.Event() for _ in range(2)]
result = {}


def produce():
    how = {"retries": 1000, "acks": "all", "max_in_flight_requests_per_connection": 1} if old else {"enable_idempotence": True}
    producer = KafkaProducer(**common, **how)
    n = 0
    while not over.is_set() or n == 0:
        for future in [producer.send(plain, str(n).encode(), str(key).encode()) for key in range(KEYS)]:
            future.get(PATIENCE)
        n += 1
        begun[0].set()
    producer.close()
    result["sent"] = n


def read():
    consumer = KafkaConsumer(plain, **common, group_id=group, auto_offset_reset="earliest", heartbeat_interval_ms=200)
    # 3.0.12 joins once more when it hears of the topic after it has joined, and drops what it is assigned then if a poll ends meanwhile: it reads nothing
    # for ever (need_rejoin in coordinator/consumer.py does not look for a join that is under way). So it hears of it first.
    consumer.partitions_for_topic(plain)
    seen = set()
    while "sent" not in result or len(seen) < KEYS * result["sent"]:
        try:
            polled = consumer.poll(timeout_ms=100)
        except KafkaError as e:  # 3.0.12 tells whoever polls that a node which is down has refused the connection
            if not e.retriable:
                raise
            continue
        for some in polled.values():
            seen.update((m.key, m.value) for m in some)
        if seen:
            begun[1].set()
    consumer.close()
    result["read"] = len(seen)


def guarded(role):
    def run():
        try:
            role()
        except BaseException as e:
            result.setdefault("errors", []).append(f"{role.__name__}: {e!r}")
            for b in begun:
                b.set()

    return run


threads = [threading.Thread(target=guarded(role), daemon=True) for role in (produce, read)]
for thread in threads:
    thread.start()
for b in begun:
    b.wait()
print("begun", flush=True)
sys.stdin.read()
over.set()
for thread in threads:
    while thread.is_alive() and "errors" not in result:
        thread.join(0.1)
print(json.dumps(result), flush=True)
os._exit(0)
