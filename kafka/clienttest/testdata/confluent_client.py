"""confluent-kafka as a client of the tests; foreign_test.go says how it is called."""
import json
import os
import sys
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition

HEADER = "h"
PATIENCE = 60  # seconds
SECURITY = json.loads(os.environ.get("SAMSA_CLIENTTEST_SECURITY", "{}"))


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
            "bootstrap.servers": addr, **SECURITY,
            "compression.type": job["codec"],
            "enable.idempotence": True,
            "linger.ms": 50,
        })
        for r in job["records"]:
            producer.produce(job["topic"], r["value"], r["key"], 0, delivered, headers=[(HEADER, r["header"])])
        if producer.flush(PATIENCE) > 0:
            sys.exit("records were not delivered")


def consume(addr, count, *topics, isolation="read_uncommitted"):
    consumer = Consumer({
        "bootstrap.servers": addr, **SECURITY,
        "group.id": "unused",
        "enable.auto.commit": False,
        "isolation.level": isolation,
    })
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING) for topic in topics])
    got = {}
    for m in receive(consumer, int(count) * len(topics)):
        got.setdefault(m.topic(), []).append(plain(m))
    consumer.close()
    json.dump(got, sys.stdout)


def committed(*args):
    consume(*args, isolation="read_committed")


def transact(addr):
    story = json.load(sys.stdin)

    def begin():
        producer = Producer({"bootstrap.servers": addr, **SECURITY, "transactional.id": story["id"]})
        producer.init_transactions(PATIENCE)
        return producer

    producer = begin()
    for step in story["steps"]:
        producer.begin_transaction()
        for r in step["records"]:
            producer.produce(story["topic"], r["value"], r["key"], 0, headers=[(HEADER, r["header"])])
        if producer.flush(PATIENCE) > 0:
            sys.exit("records were not delivered")
        if step["offset"] > 0:
            consumer = Consumer({"bootstrap.servers": addr, **SECURITY, "group.id": story["group"]})
            producer.send_offsets_to_transaction(
                [TopicPartition(story["input"], 0, step["offset"])], consumer.consumer_group_metadata(), PATIENCE)
            consumer.close()
        if step["end"] == "commit":
            producer.commit_transaction(PATIENCE)
        elif step["end"] == "abort":
            producer.abort_transaction(PATIENCE)
        else:
            fenced, producer = producer, begin()
            try:
                fenced.commit_transaction(PATIENCE)
            except KafkaException as e:
                if not e.args[0].fatal():
                    raise
            else:
                sys.exit("a producer commits that another has replaced")


def group(addr, count, topic, name, protocol=None):
    config = {
        "bootstrap.servers": addr, **SECURITY,
        "group.id": name,
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
    }
    if protocol is not None:
        config["group.protocol"] = protocol
    consumer = Consumer(config)
    consumer.subscribe([topic])
    messages = receive(consumer, int(count))
    consumer.commit(messages[-1], asynchronous=False)
    consumer.close()
    json.dump([plain(m) for m in messages], sys.stdout)


def assigned(addr, count, topic, name):
    """Like group, by a consumer that takes its partition without joining the group."""
    consumer = Consumer({"bootstrap.servers": addr, **SECURITY, "group.id": name, "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    messages = receive(consumer, int(count))
    consumer.commit(messages[-1], asynchronous=False)
    consumer.close()
    json.dump([plain(m) for m in messages], sys.stdout)


def together(addr, count, topic, name, strategy):
    """So many consumers join at once; says which partitions each was assigned, time after time, until all have had some."""
    assignments = [[] for _ in range(int(count))]
    consumers = []
    for mine in assignments:
        consumer = Consumer({
            "bootstrap.servers": addr, **SECURITY,
            "group.id": name,
            "partition.assignment.strategy": strategy,
        })
        consumer.subscribe([topic], on_assign=lambda _, given, mine=mine: mine.append(sorted(p.partition for p in given)))
        consumers.append(consumer)
    end = time.monotonic() + PATIENCE
    while not all(any(mine) for mine in assignments):
        if time.monotonic() > end:
            sys.exit(f"assignments are {assignments}")
        for consumer in consumers:
            consumer.poll(0.05)
    for consumer in consumers:
        consumer.close()
    json.dump(assignments, sys.stdout)


def untimed(addr, topic):
    """Sends a record whose timestamp is -1, for none."""
    producer = Producer({"bootstrap.servers": addr, **SECURITY})
    delivered = []
    producer.produce(topic, "untimed", timestamp=-1, on_delivery=lambda error, _: delivered.append(error))
    if producer.flush(PATIENCE) > 0 or delivered != [None]:
        sys.exit(f"delivered: {delivered}")


def main(*verbs):
    """Does what the program is called for."""
    {verb.__name__: verb for verb in verbs}[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    main(produce, consume, committed, transact, group, assigned, together, untimed)
