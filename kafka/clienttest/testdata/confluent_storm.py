"""confluent-kafka on a cluster in upheaval; storm_test.go says what it does."""
import json
import sys
import threading

from confluent_kafka import Consumer, KafkaException, Producer

KEYS = 4
PATIENCE = 60  # seconds
addrs, plain, transacted, group = sys.argv[1:]
common = {"bootstrap.servers": addrs, "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 100, "retry.backoff.ms": 20, "log_level": 0,
          "topic.metadata.refresh.fast.interval.ms": 50}
over = threading.Event()
begun = [threading.Event() for _ in range(3)]
result = {}


def delivered(error, _):
    if error is not None:
        raise KafkaException(error)


def produce():
    producer = Producer({**common, "enable.idempotence": True})
    n = 0
    while not over.is_set() or n == 0:
        for key in range(KEYS):
            producer.produce(plain, str(n), str(key), on_delivery=delivered)
        if producer.flush(PATIENCE) > 0:
            raise RuntimeError("records were not delivered")
        n += 1
        begun[0].set()
    result["sent"] = n


def patiently(step, *args):
    """Does a step of a transaction again while it may be tried again."""
    while True:
        try:
            return step(*args)
        except KafkaException as e:
            if not e.args[0].retriable():
                raise


def transact():
    producer = Producer({**common, "transactional.id": group})
    patiently(producer.init_transactions, PATIENCE)
    n = 0
    while not over.is_set() or n == 0:
        try:
            producer.begin_transaction()
            for key in range(KEYS):
                producer.produce(transacted, str(n), str(key))
            patiently(producer.commit_transaction, PATIENCE)
        except KafkaException as e:
            if not e.args[0].txn_requires_abort():
                raise
            patiently(producer.abort_transaction, PATIENCE)
            continue
        n += 1
        begun[1].set()
    result["committed"] = n


def read():
    consumer = Consumer({**common, "group.id": group, "auto.offset.reset": "earliest", "heartbeat.interval.ms": 200})
    consumer.subscribe([plain])
    seen = set()
    while "sent" not in result or len(seen) < KEYS * result["sent"]:
        message = consumer.poll(0.1)
        if message is not None and message.error() is None:
            seen.add((message.key(), message.value()))
            begun[2].set()
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


threads = [threading.Thread(target=guarded(role), daemon=True) for role in (produce, transact, read)]
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
print(json.dumps(result))
