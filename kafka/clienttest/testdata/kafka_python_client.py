"""kafka-python as a client of the tests; foreign_test.go says how it is called."""
import json
import sys

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata

HEADER = "h"
PATIENCE = 60  # seconds


def plain(message):
    return {
        "key": message.key.decode(),
        "value": message.value.decode(),
        "header": dict(message.headers).get(HEADER, b"").decode(),
    }


def receive(consumer, count):
    """The next count messages."""
    messages = []
    while len(messages) < count:
        polled = consumer.poll(timeout_ms=PATIENCE * 1000, max_records=count - len(messages))
        if not polled:
            sys.exit(f"{len(messages)} of {count} records")
        for some in polled.values():
            messages += some
    return messages


def produce(addr):
    for job in json.load(sys.stdin):
        codec = None if job["codec"] == "none" else job["codec"]
        producer = KafkaProducer(bootstrap_servers=addr, compression_type=codec, acks="all", linger_ms=50)
        futures = [
            producer.send(job["topic"], r["value"].encode(), r["key"].encode(), [(HEADER, r["header"].encode())], 0)
            for r in job["records"]
        ]
        for future in futures:
            future.get(PATIENCE)
        producer.close()


def consume(addr, count, *topics):
    consumer = KafkaConsumer(bootstrap_servers=addr, group_id=None)
    got = {}
    for topic in topics:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        got[topic] = [plain(m) for m in receive(consumer, int(count))]
    consumer.close()
    json.dump(got, sys.stdout)


def group(addr, count, topic, name):
    consumer = KafkaConsumer(
        topic, bootstrap_servers=addr, group_id=name, enable_auto_commit=False, auto_offset_reset="earliest")
    messages = receive(consumer, int(count))
    last = messages[-1]
    consumer.commit({TopicPartition(topic, last.partition): OffsetAndMetadata(last.offset + 1, "")})
    consumer.close()
    json.dump([plain(m) for m in messages], sys.stdout)


{"produce": produce, "consume": consume, "group": group}[sys.argv[1]](*sys.argv[2:])
