"""Connects with each configuration it reads, a list of maps, all at once, and prints what comes of each: "ok", or the name of the error."""
import asyncio
import json
import logging
import ssl
import sys

from aiokafka.abc import AbstractTokenProvider
from aiokafka.conn import create_conn
from aiokafka.protocol.metadata import MetadataRequest

logging.disable(logging.CRITICAL)


class Token(AbstractTokenProvider):
    def __init__(self, token):
        self.value = token

    async def token(self):
        return self.value


async def attempt(config):
    config = {name.replace(".", "_"): value for name, value in config.items()}
    if "token" in config:
        config["sasl_oauth_token_provider"] = Token(config.pop("token"))
    if "ca" in config:
        config["ssl_context"] = ssl.create_default_context(cafile=config.pop("ca"))
        if "pair" in config:
            config["ssl_context"].load_cert_chain(config.pop("pair"))
    patience = int(config.pop("patience"))
    host, port = config.pop("bootstrap_servers").rsplit(":", 1)
    try:
        # What its clients connect by: they tell the log why they could not, and their callers only that.
        conn = await create_conn(host, int(port), request_timeout_ms=patience, **config)
        # It does not look at what a broker says against a token. The first request behind that Kafka answers, with an error for which there is no
        # place in Metadata, before it ends the connection.
        for _ in range(2):
            await conn.send(MetadataRequest([]))
        conn.close()
        return "ok"
    except Exception as e:
        return type(e).__name__


async def main():
    print(json.dumps(await asyncio.gather(*map(attempt, json.load(sys.stdin)))))


asyncio.run(main())
