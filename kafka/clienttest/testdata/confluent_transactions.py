"""Scenarios of librdkafka's own tests of transactions (0098, 0103); librdkafka_transactions_test.go says what comes of them."""
import json
import sys

from confluent_kafka import (
    OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition)

sys.dont_write_bytecode = True  # nothing is left in testdata
from confluent_client import PATIENCE, main, receive  # noqa: E402


def check(ok, wanted):
    if not ok:
        sys.exit("wanted: " + wanted)


def error_of(call, *args):
    """The error that a call ends with."""
    try:
        call(*args)
    except KafkaException as e:
        return e.args[0]
    sys.exit(f"wanted: an error of {call.__name__}")


def transactional(addr, name, **more):
    # One is left open until all has been read.
    return Producer({"bootstrap.servers": addr, "transactional.id": name, "linger.ms": 5, "transaction.timeout.ms": 240_000, **more})


def begun(addr, name, **more):
    """A producer that has its id."""
    producer = transactional(addr, name, **more)
    producer.init_transactions(PATIENCE)
    return producer


def reader(addr, group, isolation="read_committed", **more):
    return Consumer({
        "bootstrap.servers": addr,
        "group.id": group,
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "isolation.level": isolation,
        **more,
    })


def flush(producer):
    check(producer.flush(PATIENCE) == 0, "all records delivered")


def stories(addr):
    """Plays the stories of the input, each in a topic of its own, and says what either isolation finds in them."""
    topics = json.load(sys.stdin)
    producers = {}
    for topic, steps in topics.items():
        play(addr, producers, topic, steps)
    json.dump({isolation: until_end(addr, topics, isolation) for isolation in ("read_committed", "read_uncommitted")}, sys.stdout)


def play(addr, producers, topic, steps):
    """Has producers send keys, and begin and end transactions."""
    for step in steps:
        by = step["by"]
        if by not in producers:
            plain = {"bootstrap.servers": addr, "enable.idempotence": True, "linger.ms": 5}
            producers[by] = Producer(plain) if by == "plain" else begun(addr, f"stories {by}")
        producer = producers[by]
        if step["begin"]:
            producer.begin_transaction()
        for key in step["keys"]:
            producer.produce(topic, "value", str(key), step["partition"])
        if step["flush"]:
            flush(producer)
        if step["end"] == "commit":
            producer.commit_transaction(PATIENCE)
        elif step["end"] == "abort":
            producer.abort_transaction(PATIENCE)


def until_end(addr, topics, isolation):
    """The keys of partitions 0 and 1 of topics up to their ends, and where the consumer says those are, with and without
    what is open."""
    stats = []
    consumer = reader(addr, "unused", isolation, **{
        "enable.partition.eof": True, "statistics.interval.ms": 20, "stats_cb": stats.append})
    keys = {(topic, partition): [] for topic in topics for partition in range(2)}
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for topic, partition in keys])
    ended = set()
    while len(ended) < len(keys):
        message = consumer.poll(PATIENCE)
        check(message is not None, "the ends of the partitions")
        of = message.topic(), message.partition()
        if message.error() is None:
            keys[of].append(int(message.key()))
        elif message.error().code() == KafkaError._PARTITION_EOF:
            ended.add(of)
        else:
            raise KafkaException(message.error())
    stats.clear()
    while not stats:
        consumer.poll(0.02)
    consumer.close()
    told = json.loads(stats[0])["topics"]
    found = {}
    for (topic, partition), some in keys.items():
        ends = told[topic]["partitions"][str(partition)]
        found.setdefault(topic, []).append({"keys": some, "high": ends["hi_offset"], "stable": ends["ls_offset"]})
    return found


def basic(addr, topic, codec):
    """Transactions of some size, that wait for their records or not; those that are committed arrive."""
    consumer = reader(addr, topic)
    consumer.subscribe([topic])
    producer = begun(addr, topic, **{"compression.type": codec})
    for name, count, partition, wait, commit in [
        ("commit, waits", 100, -1, True, True),
        ("commit, does not wait", 1000, -1, False, True),
        ("abort, waits", 500, -1, True, False),
        ("abort, does not wait", 5000, -1, False, False),
        ("abort, one partition", 500, 1, True, False),
        ("commit after aborts", 100, -1, True, True),
    ]:
        producer.begin_transaction()
        for i in range(count):
            producer.produce(topic, f"{name} {i}", str(i), partition)
        if wait:
            flush(producer)
        if not commit:
            producer.abort_transaction(PATIENCE)
            continue
        producer.commit_transaction(PATIENCE)
        got = [m.value().decode() for m in receive(consumer, count)]
        check(sorted(got) == sorted(f"{name} {i}" for i in range(count)), f"records of {name}, got {got}")
    consumer.close()


def pipeline(addr, source, target):
    """Copies, in transactions of which every third is aborted; the consumer is another one after two of them."""
    producer = begun(addr, source)
    producer.begin_transaction()
    for i in range(300):
        producer.produce(source, str(i), str(i))
    producer.commit_transaction(PATIENCE)

    def begin_reading():
        consumer = reader(addr, source)
        consumer.subscribe([source])
        return consumer

    consumer, producer, copied = begin_reading(), begun(addr, target), []
    for n in range(10):
        commit = n % 3 != 0
        messages = receive(consumer, 10 * (1 + n % 3))
        producer.begin_transaction()
        left = set()
        for i, m in enumerate(messages):
            left.add(i)
            producer.produce(target, m.value(), m.key(), on_delivery=lambda _, __, i=i: left.discard(i))
            if commit:
                copied.append(m.value().decode())
        offsets = consumer.position(consumer.assignment())
        producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata(), PATIENCE)
        if commit:
            producer.commit_transaction(PATIENCE)
        else:
            producer.abort_transaction(PATIENCE)
        check(not left, f"delivery reports of all records, transaction {n} lacks {len(left)}")
        if n not in (2, 3):
            continue
        consumer.close()
        consumer = begin_reading()
        if commit:
            found = consumer.committed([TopicPartition(o.topic, o.partition) for o in offsets], PATIENCE)
            for want, got in zip(offsets, found):
                check(got.offset == want.offset or want.offset < 0 and got.offset < 0, f"{want} committed, found {got}")
    consumer.close()
    json.dump(copied, sys.stdout)


def misuse(addr, name):
    """What is out of its turn, or out of bounds, is refused with the error that fits."""
    producer = transactional(addr, name, **{"transaction.timeout.ms": 2147483647})
    error = error_of(producer.init_transactions, PATIENCE)
    check(error.code() == KafkaError.INVALID_TRANSACTION_TIMEOUT and error.fatal(), f"a fatal INVALID_TRANSACTION_TIMEOUT, got {error}")

    producer = begun(addr, name)
    check(error_of(producer.init_transactions, 1).code() == KafkaError._STATE, "_STATE of the second init_transactions")
    producer.begin_transaction()
    check(error_of(producer.init_transactions, 1).code() == KafkaError._STATE, "_STATE of init_transactions in a transaction")

    # One that loses patience, and begins again, as often as it takes.
    producer = transactional(addr, name)
    for _ in range(5000):
        try:
            producer.init_transactions(0.001)
            break
        except KafkaException as e:
            check(e.args[0].retriable(), f"a retriable error, got {e}")
            check(error_of(producer.begin_transaction).code() == KafkaError._CONFLICT, "_CONFLICT of begin_transaction")
    check(error_of(producer.init_transactions, 1).code() == KafkaError._STATE, "_STATE of init_transactions after all")
    producer.begin_transaction()
    producer.abort_transaction(PATIENCE)


def fenced(addr, topic, produces):
    """A producer that another has replaced ends with a fatal error, whether it sends more or not."""
    first, second = transactional(addr, topic), transactional(addr, topic)
    first.init_transactions(PATIENCE)
    first.begin_transaction()
    for i in range(10):
        first.produce(topic, str(i))
    flush(first)
    second.init_transactions(PATIENCE)
    if produces == "true":
        try:
            for i in range(10):
                first.produce(topic, str(i))
            first.flush(PATIENCE)
        except KafkaException as e:  # some versions raise what is fatal
            check(e.args[0].code() == KafkaError._FENCED, f"_FENCED, got {e}")
    error = error_of(first.commit_transaction, PATIENCE)
    check(error.code() == KafkaError._FENCED and error.fatal(), f"a fatal _FENCED, got {error.name()}: {error}")
    check(not error.txn_requires_abort() and not error.retriable(), f"no way on, got {error.name()}: {error}")


def deleted(addr, topic):
    """A transaction goes on though what its producer has sent before is deleted."""
    from confluent_kafka.admin import AdminClient

    producer = begun(addr, topic, **{"batch.num.messages": 1})

    def send(count):
        for i in range(count):
            producer.produce(topic, str(i), partition=0)
        flush(producer)

    producer.begin_transaction()
    send(6)
    producer.commit_transaction(PATIENCE)
    producer.begin_transaction()
    admin = AdminClient({"bootstrap.servers": addr})
    for deletion in admin.delete_records([TopicPartition(topic, 0, 6)]).values():
        deletion.result(PATIENCE)
    send(4)
    producer.commit_transaction(PATIENCE)
    producer.begin_transaction()
    send(1)
    producer.commit_transaction(PATIENCE)


def empty(addr, topic, offsets, commit):
    """A transaction without records, with offsets or without; says what is committed then, or -1 for nothing."""
    producer = begun(addr, topic)
    consumer = reader(addr, topic)
    consumer.subscribe([topic])
    receive(consumer, 10)
    producer.begin_transaction()
    if offsets == "true":
        producer.send_offsets_to_transaction(consumer.position(consumer.assignment()), consumer.consumer_group_metadata(), PATIENCE)
    if commit == "true":
        producer.commit_transaction(PATIENCE)
    else:
        producer.abort_transaction(PATIENCE)
    found = [max(-1, p.offset) for p in consumer.committed(consumer.assignment(), PATIENCE)]
    consumer.close()
    json.dump(found, sys.stdout)


def watermarks(addr, topic):
    """Where a partition ends for either isolation, while a transaction is open and when it is committed."""
    readers = [reader(addr, topic, isolation) for isolation in ("read_committed", "read_uncommitted")]

    def ends():
        return [r.get_watermark_offsets(TopicPartition(topic, 0), PATIENCE)[1] for r in readers]

    producer = begun(addr, topic)
    producer.begin_transaction()
    for i in range(100):
        producer.produce(topic, str(i), partition=0)
    flush(producer)
    opened = ends()
    producer.commit_transaction(PATIENCE)
    json.dump([opened, ends()], sys.stdout)


def marker(addr, topic):
    """A consumer that has found nothing but an aborted record commits what is behind the marker."""
    producer = begun(addr, topic)
    producer.begin_transaction()
    producer.produce(topic, "aborted", partition=0)
    flush(producer)
    producer.abort_transaction(PATIENCE)
    consumer = reader(addr, topic, **{"enable.partition.eof": True})
    consumer.subscribe([topic])
    message = consumer.poll(PATIENCE)
    check(message is not None and message.error() is not None and message.error().code() == KafkaError._PARTITION_EOF, "the end of the partition")
    consumer.commit(asynchronous=False)
    found = [p.offset for p in consumer.committed([TopicPartition(topic, 0)], PATIENCE)]
    consumer.close()
    json.dump(found, sys.stdout)


main(stories, basic, pipeline, misuse, fenced, deleted, empty, watermarks, marker)
