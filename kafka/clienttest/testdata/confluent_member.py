"""A member, of librdkafka, of a group of the consumer protocol, for a drill: ADDR GROUP TOPIC NAME [INSTANCE].

It reads records, and commits after each few. It says each step in a line, as consumer_kills_test.go reads them. SIGTERM has it leave.
"""
import os
import signal
import sys

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

addr, group, topic, name, *instance = sys.argv[1:]
config = {
    "bootstrap.servers": addr,
    "group.id": group,
    "client.id": name,
    "group.protocol": "consumer",
    "enable.auto.commit": False,
    "auto.offset.reset": "earliest",
    "reconnect.backoff.ms": 20,
    "reconnect.backoff.max.ms": 100,
    "retry.backoff.ms": 20,
    "log_level": 3,
}
if instance:
    config["group.instance.id"] = instance[0]
running = True


def stop(*_):
    global running
    running = False


def say(step, *numbers):
    print(step, *numbers, flush=True)


def failed(error):
    """A static member whose place is not free yet has failed for good."""
    if error.fatal() or error.code() == KafkaError._FATAL:
        say("error", error)
        os._exit(1)


def told(step):
    return lambda _, partitions: say(step, *(p.partition for p in partitions))


signal.signal(signal.SIGTERM, stop)
consumer = Consumer(config)
consumer.subscribe([topic], on_assign=told("assigned"), on_revoke=told("revoked"), on_lost=told("lost"))
while running:
    read = {}
    for message in consumer.consume(10, 0.1):
        if message.error() is None:
            read.setdefault(message.partition(), []).append(message.offset())
        else:
            failed(message.error())
    if not read:
        say("nothing")
        continue
    for partition, offsets in read.items():
        say("read", partition, offsets[0], offsets[-1])
    try:
        consumer.commit(offsets=[TopicPartition(topic, p, o[-1] + 1) for p, o in read.items()], asynchronous=False)
    except KafkaException as e:
        say("error", e)
        failed(e.args[0])
    else:
        for partition, offsets in read.items():
            say("committed", partition, offsets[-1] + 1)
consumer.close()
