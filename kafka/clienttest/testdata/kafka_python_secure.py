"""Connects with each configuration it reads, a list of maps, all at once, and prints what comes of each: "ok", or the name of the error.

Both releases of kafka-python go on trying: what a connection ends with first counts."""
import json
import logging
import os
import queue
import ssl
import sys
import threading

import kafka
from kafka import KafkaConsumer
from kafka.errors import KafkaConnectionError, UnsupportedSaslMechanismError

try:
    from kafka.errors import SaslAuthenticationFailedError
except ImportError:  # release 2

    class SaslAuthenticationFailedError(Exception):
        pass


outcomes = {}  # queues of what has come of each configuration, by client id


def named(error):
    # The alert of TLS may come before the end of the connection or with it.
    return "SSLError" if isinstance(error, ssl.SSLEOFError) else type(error).__name__


# At any broker both releases may see the end of the connection before the answer that tells why it ends, and lose that.
REFUSED = (KafkaConnectionError, SaslAuthenticationFailedError, UnsupportedSaslMechanismError)


def note(connection, error):
    if error is not None:
        outcomes[connection.config["client_id"]].put(named(error))


if kafka.__version__.startswith("2."):
    from kafka.conn import BrokerConnection, ConnectionStates

    WITHIN = "api_version_auto_timeout_ms"
    Provider = object
    close = BrokerConnection.close

    def closed(self, error=None):
        if self.state is ConnectionStates.AUTHENTICATING and isinstance(error, REFUSED):
            note(self, SaslAuthenticationFailedError())
        else:
            note(self, error)
        close(self, error)

    BrokerConnection.close = closed
else:
    from kafka.net.connection import KafkaConnection
    from kafka.net.sasl.oauth import AbstractTokenProvider as Provider

    WITHIN = "bootstrap_timeout_ms"
    lost, authenticate = KafkaConnection.connection_lost, KafkaConnection._sasl_authenticate

    def connection_lost(self, error):
        if not hasattr(self, "authenticating"):
            note(self, error)
        lost(self, error)

    async def sasl_authenticate(self, *args, **kwargs):
        self.authenticating = True
        try:
            await authenticate(self, *args, **kwargs)
        except REFUSED:
            note(self, SaslAuthenticationFailedError())
            raise
        except Exception as e:
            note(self, e)
            raise
        del self.authenticating

    KafkaConnection.connection_lost, KafkaConnection._sasl_authenticate = connection_lost, sasl_authenticate


class Token(Provider):
    def __init__(self, token):
        self.value = token

    def token(self):
        return self.value

    def extensions(self):
        return {}


def attempt(client_id, config):
    config = {name.replace(".", "_"): value for name, value in config.items()}
    if "token" in config:
        config["sasl_oauth_token_provider"] = Token(config.pop("token"))
    if "ca" in config:
        context = ssl.create_default_context(cafile=config.pop("ca"))
        if "pair" in config:
            context.load_cert_chain(config.pop("pair"))
        config["ssl_context"] = context
    config[WITHIN] = int(config.pop("patience"))
    try:
        KafkaConsumer(client_id=client_id, **config).topics()
        outcomes[client_id].put("ok")
    except Exception as e:
        outcomes[client_id].put(named(e))


for number, config in enumerate(json.load(sys.stdin)):
    outcomes[str(number)] = queue.Queue()
    threading.Thread(target=attempt, args=(str(number), config), daemon=True).start()
print(json.dumps([outcome.get() for outcome in outcomes.values()]), flush=True)
os._exit(0)  # some try on
