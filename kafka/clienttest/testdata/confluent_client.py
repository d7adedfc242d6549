"""confluent-kafka as a client of the tests; foreign_test.go says how it is called."""
import json
import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition

HEADER = "h"
PATIENCE = 60  # seconds


def plain(message):
    return {
        "key": message.key().decode(),
        "value": message.value().decode(),
        "header": dict(message.headers() or []).get(HEADER, b"").decode(),
    }


def receive(consumer, count):
    """The next count messages."""
    messages = []
    while len(messages) < count:
        message = consumer.poll(PATIENCE)
        if message is None:
            sys.exit(f"{len(messages)} of {count} records")
        if message.error():
            raise KafkaException(message.error())
        messages.append(message)
    return messages


def produce(addr):
    def delivered(error, _):
        if error is not None:
            raise KafkaException(error)

    for job in json.load(sys.stdin):
        producer = Producer({
            "bootstrap.servers": addr,
            "compression.type": job["codec"],
            "enable.idempotence": True,
            "linger.ms": 50,
        })
        for r in job["records"]:
            producer.produce(job["topic"], r["value"], r["key"], 0, delivered, headers=[(HEADER, r["header"])])
        if producer.flush(PATIENCE) > 0:
            sys.exit("records were not delivered")


def consume(addr, count, *topics):
    consumer = Consumer({"bootstrap.servers": addr, "group.id": "unused", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING) for topic in topics])
    got = {}
    for m in receive(consumer, int(count) * len(topics)):
        got.setdefault(m.topic(), []).append(plain(m))
    consumer.close()
    json.dump(got, sys.stdout)


def group(addr, count, topic, name):
    consumer = Consumer({
        "bootstrap.servers": addr,
        "group.id": name,
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
    })
    consumer.subscribe([topic])
    messages = receive(consumer, int(count))
    consumer.commit(messages[-1], asynchronous=False)
    consumer.close()
    json.dump([plain(m) for m in messages], sys.stdout)


{"produce": produce, "consume": consume, "group": group}[sys.argv[1]](*sys.argv[2:])
