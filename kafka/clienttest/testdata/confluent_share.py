"""librdkafka's share consumer: reads what there is of the topic mails as a member of the group of the mode's name."""
import json
import sys
import time

from confluent_kafka import ShareConsumer
from confluent_kafka import AcknowledgeType

addr, mode = sys.argv[1:]
consumer = ShareConsumer({"bootstrap.servers": addr, "group.id": mode, "share.acknowledgement.mode": mode})
consumer.subscribe(["mails"])
got = []
released = False
until = time.monotonic() + 60
want = 3 if mode == "implicit" else 4
while len(got) < want and time.monotonic() < until:
    for m in consumer.poll(1):
        if m.error():
            raise SystemExit(str(m.error()))
        value = m.value().decode()
        got.append(value)
        if mode == "explicit":
            ack = AcknowledgeType.ACCEPT
            if value == "b" and not released:
                ack, released = AcknowledgeType.RELEASE, True
            elif value == "c":
                ack = AcknowledgeType.REJECT
            consumer.acknowledge(m, ack)
consumer.commit_sync()
got.extend(m.value().decode() for m in consumer.poll(1))
consumer.close()
print(json.dumps(got + ["later"]))
