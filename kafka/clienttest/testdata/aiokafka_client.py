"""aiokafka as a client of the tests of transactions; foreign_test.go says how it is called."""
import asyncio
import json
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

HEADER = "h"
PATIENCE = 60  # seconds


def plain(message):
    return {
        "key": message.key.decode(),
        "value": message.value.decode(),
        "header": dict(message.headers).get(HEADER, b"").decode(),
    }


async def consume(addr, count, *topics, isolation="read_uncommitted"):
    consumer = AIOKafkaConsumer(bootstrap_servers=addr, isolation_level=isolation)
    await consumer.start()
    got = {}
    for topic in topics:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        got[topic] = [plain(await asyncio.wait_for(consumer.getone(), PATIENCE)) for _ in range(int(count))]
    await consumer.stop()
    json.dump(got, sys.stdout)


async def committed(*args):
    await consume(*args, isolation="read_committed")


async def transact(addr):
    story = json.load(sys.stdin)
    producers = []

    async def begin():
        producer = AIOKafkaProducer(bootstrap_servers=addr, transactional_id=story["id"])
        await producer.start()
        producers.append(producer)
        return producer

    producer = await begin()
    for step in story["steps"]:
        await producer.begin_transaction()
        futures = [
            await producer.send(story["topic"], r["value"].encode(), r["key"].encode(), 0, headers=[(HEADER, r["header"].encode())])
            for r in step["records"]
        ]
        for future in futures:
            await asyncio.wait_for(future, PATIENCE)
        if step["offset"] > 0:
            await producer.send_offsets_to_transaction({TopicPartition(story["input"], 0): step["offset"]}, story["group"])
        if step["end"] == "commit":
            await producer.commit_transaction()
        elif step["end"] == "abort":
            await producer.abort_transaction()
        else:
            fenced, producer = producer, await begin()
            try:
                await fenced.commit_transaction()
            except KafkaError:
                pass
            else:
                sys.exit("a producer commits that another has replaced")
    await producer.stop()


verbs = [consume, committed, transact]
asyncio.run({verb.__name__: verb for verb in verbs}[sys.argv[1]](*sys.argv[2:]))
