"""aiokafka on a cluster in upheaval; storm_test.go says what it does."""
import asyncio
import json
import logging
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

KEYS = 4
addrs, plain, transacted, group = sys.argv[1:]
common = {"bootstrap_servers": addrs, "retry_backoff_ms": 20}
logging.disable(logging.CRITICAL)
result = {}


async def produce(begun, over):
    async with AIOKafkaProducer(**common, enable_idempotence=True) as producer:
        n = 0
        while not over.is_set() or n == 0:
            await asyncio.gather(*[await producer.send(plain, str(n).encode(), str(key).encode()) for key in range(KEYS)])
            n += 1
            begun.set()
    result["sent"] = n


async def transact(begun, over):
    async with AIOKafkaProducer(**common, transactional_id=group) as producer:
        n = 0
        while not over.is_set() or n == 0:
            await producer.begin_transaction()
            try:
                await asyncio.gather(*[await producer.send(transacted, str(n).encode(), str(key).encode()) for key in range(KEYS)])
                await producer.commit_transaction()
            except KafkaError:
                await producer.abort_transaction()
                continue
            n += 1
            begun.set()
    result["committed"] = n


async def read(begun, over):
    seen = set()
    async with AIOKafkaConsumer(plain, **common, group_id=group, auto_offset_reset="earliest", heartbeat_interval_ms=200) as consumer:
        while "sent" not in result or len(seen) < KEYS * result["sent"]:
            for some in (await consumer.getmany(timeout_ms=100)).values():
                seen.update((m.key, m.value) for m in some)
            if seen:
                begun.set()
    result["read"] = len(seen)


async def main():
    over = asyncio.Event()
    begun = [asyncio.Event() for _ in range(3)]

    async def guarded(role, mine):
        try:
            await role(mine, over)
        except BaseException as e:
            result.setdefault("errors", []).append(f"{role.__name__}: {e!r}")
            for b in begun:
                b.set()

    tasks = [asyncio.create_task(guarded(role, mine)) for role, mine in zip((produce, transact, read), begun)]
    for b in begun:
        await b.wait()
    print("begun", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    over.set()
    while any(not task.done() for task in tasks) and "errors" not in result:
        await asyncio.sleep(0.1)
    print(json.dumps(result), flush=True)
    for task in tasks:
        task.cancel()


asyncio.run(main())
