"""kafka-python as a client of the tests; foreign_test.go says how it is called."""
import json
import os
import sys

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

HEADER = "h"
PATIENCE = 60  # seconds
SECURITY = {name.replace(".", "_"): value for name, value in json.loads(os.environ.get("SAMSA_CLIENTTEST_SECURITY", "{}")).items()}
if "ca" in SECURITY:
    SECURITY["ssl_cafile"] = SECURITY.pop("ca")


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
        producer = KafkaProducer(bootstrap_servers=addr, **SECURITY, compression_type=codec, acks="all", linger_ms=50)
        futures = [
            producer.send(job["topic"], r["value"].encode(), r["key"].encode(), [(HEADER, r["header"].encode())] if r["header"] else [], 0)
            for r in job["records"]
        ]
        for future in futures:
            future.get(PATIENCE)
        producer.close()


def consume(addr, count, *topics, **config):
    consumer = KafkaConsumer(bootstrap_servers=addr, **SECURITY, group_id=None, **config)
    got = {}
    for topic in topics:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        got[topic] = [plain(m) for m in receive(consumer, int(count))]
    consumer.close()
    json.dump(got, sys.stdout)


def committed(*args):
    consume(*args, isolation_level="read_committed")


def transact(addr):
    story = json.load(sys.stdin)

    def begin():
        producer = KafkaProducer(bootstrap_servers=addr, **SECURITY, transactional_id=story["id"])
        producer.init_transactions()
        return producer

    producer = begin()
    for step in story["steps"]:
        producer.begin_transaction()
        futures = [
            producer.send(story["topic"], r["value"].encode(), r["key"].encode(), [(HEADER, r["header"].encode())], 0)
            for r in step["records"]
        ]
        for future in futures:
            future.get(PATIENCE)
        if step["offset"] > 0:
            offsets = {TopicPartition(story["input"], 0): OffsetAndMetadata(step["offset"], "", -1)}
            producer.send_offsets_to_transaction(offsets, story["group"])
        if step["end"] == "commit":
            producer.commit_transaction()
        elif step["end"] == "abort":
            producer.abort_transaction()
        else:
            fenced, producer = producer, begin()
            try:
                fenced.commit_transaction()
            except KafkaError:
                pass
            else:
                sys.exit("a producer commits that another has replaced")
            fenced.close(timeout=0)
    producer.close()


def group(addr, count, topic, name):
    consumer = KafkaConsumer(
        topic, bootstrap_servers=addr, **SECURITY, group_id=name, enable_auto_commit=False, auto_offset_reset="earliest")
    messages = receive(consumer, int(count))
    last = messages[-1]
    consumer.commit({TopicPartition(topic, last.partition): OffsetAndMetadata(last.offset + 1, "")})
    consumer.close()
    json.dump([plain(m) for m in messages], sys.stdout)


verbs = [produce, consume, committed, transact, group]
{verb.__name__: verb for verb in verbs}[sys.argv[1]](*sys.argv[2:])
