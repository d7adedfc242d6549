"""Connects with each configuration it reads, a list of maps, all at once, and prints what comes of each: "ok", or the name of the first error that
says why.

librdkafka tries for ever: what it tells its error callback counts, but for that all brokers are down, which follows from the rest."""

import json
import logging
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from confluent_kafka import KafkaError, KafkaException, Producer

quiet = logging.getLogger("librdkafka")
quiet.setLevel(logging.CRITICAL)


def attempt(config):
    errors = []
    patience = int(config.pop("patience")) / 1000
    # a token that is not signed is made here: librdkafka's own has no subject of one's choice for each client
    token = config.pop("token", None)
    if token is not None:
        config["oauth_cb"] = lambda _: (token, time.time() + 3600)
    producer = Producer({**config, "error_cb": errors.append, "reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 100}, logger=quiet)
    until = time.time() + patience
    while time.time() < until:
        producer.poll(0.05)
        try:
            producer.list_topics(timeout=0.3)
            return "ok"
        except KafkaException:
            pass
        for e in errors:
            if e.code() not in (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT):
                return e.name()
        if len([e for e in errors if e.code() == KafkaError._TRANSPORT]) > 1:
            return "_TRANSPORT"
    return "nothing"


configs = json.load(sys.stdin)
with ThreadPoolExecutor(len(configs)) as pool:
    print(json.dumps(list(pool.map(attempt, configs))))
