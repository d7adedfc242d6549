"""aiokafka as a client of the tests; foreign_test.go says how it is called."""
import asyncio
import json
import os
import ssl
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

HEADER = "h"
PATIENCE = 60  # seconds
SECURITY = {name.replace(".", "_"): value for name, value in json.loads(os.environ.get("SAMSA_CLIENTTEST_SECURITY", "{}")).items()}
if "ca" in SECURITY:
    SECURITY["ssl_context"] = ssl.create_default_context(cafile=SECURITY.pop("ca"))


def plain(message):
    return {
        "key": message.key.decode(),
        "value": message.value.decode(),
        "header": dict(message.headers).get(HEADER, b"").decode(),
    }


async def produce(addr):
    for job in json.load(sys.stdin):
        codec = None if job["codec"] == "none" else job["codec"]
        async with AIOKafkaProducer(bootstrap_servers=addr, **SECURITY, compression_type=codec, acks="all", linger_ms=50) as producer:
            futures = [
                await producer.send(job["topic"], r["value"].encode(), r["key"].encode(), 0, headers=[(HEADER, r["header"].encode())])
                for r in job["records"]
            ]
            for future in futures:
                await asyncio.wait_for(future, PATIENCE)


async def group(addr, count, topic, name):
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=addr, **SECURITY, group_id=name, enable_auto_commit=False, auto_offset_reset="earliest") as consumer:
        messages = [await asyncio.wait_for(consumer.getone(), PATIENCE) for _ in range(int(count))]
        await consumer.commit({TopicPartition(topic, messages[-1].partition): messages[-1].offset + 1})
    json.dump([plain(m) for m in messages], sys.stdout)


async def consume(addr, count, *topics, isolation="read_uncommitted"):
    consumer = AIOKafkaConsumer(bootstrap_servers=addr, **SECURITY, isolation_level=isolation)
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
        producer = AIOKafkaProducer(bootstrap_servers=addr, **SECURITY, transactional_id=story["id"])
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


verbs = [produce, consume, committed, transact, group]
asyncio.run({verb.__name__: verb for verb in verbs}[sys.argv[1]](*sys.argv[2:]))
