"""Stories of librdkafka's consumers with group.protocol=consumer: ADDR STORY prints what happened, as JSON.

They are the shapes of tests of librdkafka's own suite: 0018, 0045, 0089, 0091, 0102, 0113 and 0118.
"""
import json
import sys
import time

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

ADDR, STORY = sys.argv[1:]
PATIENCE = 60  # seconds


class Member:
    """A consumer, with what it was told: + and - and ! are assigned, revoked and lost partitions."""

    def __init__(self, name, *topics, **config):
        self.told, self.errors = [], []
        self.consumer = Consumer({
            "bootstrap.servers": ADDR, "group.id": STORY, "client.id": name, "group.protocol": "consumer",
            "enable.auto.commit": False, "auto.offset.reset": "earliest", "log_level": 0, "topic.metadata.refresh.interval.ms": 500,
        } | {k.replace("_", "."): v for k, v in config.items()})
        self.subscribe(*topics)

    def subscribe(self, *topics):
        def note(sign):
            return lambda _, ps: self.told.append(f"{sign}{len(ps)}") if ps else None

        self.consumer.subscribe(list(topics), on_assign=note("+"), on_revoke=note("-"), on_lost=note("!"))

    def poll(self):
        message = self.consumer.poll(0.05)
        if message is not None and message.error() is not None:
            self.errors.append(name_of(message.error()))
        return message if message is not None and message.error() is None else None

    def has(self):
        return sorted(f"{p.topic}-{p.partition}" for p in self.consumer.assignment())

    def receive(self, count):
        got = []

        def enough():
            if (message := self.poll()) is not None:
                got.append(message.value().decode())
            return len(got) >= count

        until(enough)
        return got

    def commit(self, offset=None):
        """Commits, and returns how that ended."""
        try:
            if offset is None:
                self.consumer.commit(asynchronous=False)
            else:
                self.consumer.commit(offsets=[offset], asynchronous=False)
        except KafkaException as e:
            return name_of(e.args[0])
        return "committed"


def name_of(error):
    """The name of an error; of one that has ended its consumer, what the broker has told."""
    return error.str().rsplit("Broker: ", 1)[1] if error.name() == "_FATAL" else error.name()


def until(done, *members):
    """Polls the members until it is done."""
    end = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > end:
            sys.exit(f"waited in vain: {[(m.told, m.errors, m.has()) for m in members]}")
        for m in members:
            m.poll()


def share(*members):
    """Polls the members until they have so many partitions each: pairs of members and numbers."""
    until(lambda: all(len(m.has()) == n for m, n in members), *(m for m, _ in members))


def rebalance():
    """Who comes gets a part, of which the other is told only that; who goes gives it back."""
    a = Member("a", "four")
    share((a, 4))
    b = Member("b", "four")
    share((a, 2), (b, 2))
    apart = not set(a.has()) & set(b.has())
    b.consumer.close()
    share((a, 4))
    a.consumer.close()
    return {"a": a.told, "b": b.told, "apart": apart}


def static():
    """A static member that closes has its partitions when it is back, and the other hears of nothing. One that is there keeps others out."""
    a = Member("a", "four", group_instance_id="one")
    share((a, 4))
    b = Member("b", "four")
    share((a, 2), (b, 2))
    had, told = a.has(), list(b.told)
    a.consumer.close()
    again = Member("again", "four", group_instance_id="one")
    share((again, 2), (b, 2))
    twice = Member("twice", "four", group_instance_id="one")
    until(lambda: twice.errors, again, b, twice)
    same = again.has() == had
    again.consumer.close()
    b.consumer.close()
    return {"same": same, "other heard": b.told[len(told):-1], "twice": twice.errors[0]}


def pattern():
    """Topics by several patterns, and a new one that matches; a pattern that is none."""
    a = Member("a", "^mail.*", "^lett[e]rs$", "four")
    until(lambda: len(a.has()) == 7, a)
    admin = AdminClient({"bootstrap.servers": ADDR})
    for f in admin.create_topics([NewTopic("mailnew", 1, 1)]).values():
        f.result()
    until(lambda: "mailnew-0" in a.has(), a)
    topics = sorted({p.rsplit("-", 1)[0] for p in a.has()})
    a.consumer.close()
    b = Member("b", r"^(m)\1ail")  # it refers back, which the client knows, and RE2 does not
    until(lambda: b.errors, b)
    return {"topics": topics, "bad": b.errors[0]}


def offsets():
    """A member commits, in its epoch, also after its partitions were moved; nobody else does while there are members."""
    a = Member("a", "mail")
    got = a.receive(2)
    first = a.commit()
    stranger = Consumer({"bootstrap.servers": ADDR, "group.id": STORY, "group.protocol": "classic"})
    outside = Member.__new__(Member)
    outside.consumer = stranger
    other = outside.commit(TopicPartition("mail", 0, 1))
    b = Member("b", "four")
    until(lambda: len(b.has()) == 4, a, b)
    second = a.commit(TopicPartition("mail", 0, 1))
    not_mine = b.commit(TopicPartition("mail", 0, 1))
    b.consumer.close()
    a.consumer.close()
    alone = outside.commit(TopicPartition("mail", 0, 2))
    [at] = stranger.committed([TopicPartition("mail", 0)])
    return {"got": got, "commits": [first, other, second, not_mine, alone], "at": at.offset}


def slow():
    """A member that polls too rarely loses its partitions to the other, may not commit, and has a part again when it polls."""
    a = Member("a", "four", max_poll_interval_ms=2000)
    share((a, 4))
    b = Member("b", "four", max_poll_interval_ms=60000)
    share((a, 2), (b, 2))
    [lost, *_] = a.consumer.assignment()
    until(lambda: len(b.has()) == 4, b)
    late = a.commit(TopicPartition(lost.topic, lost.partition, 1))
    share((a, 2), (b, 2))
    again = a.commit(TopicPartition(*split(a.has()[0]), 0))
    a.consumer.close()
    b.consumer.close()
    return {"told": a.told[:4], "error": a.errors[0], "late": late, "again": again}


def split(name):
    topic, partition = name.rsplit("-", 1)
    return topic, int(partition)


def resubscribe():
    """A member that subscribes to something else, to nothing, and again."""
    a = Member("a", "four")
    share((a, 4))
    a.subscribe("mail", "letters")
    until(lambda: a.has() == ["letters-0", "letters-1", "mail-0"], a)
    a.consumer.unsubscribe()
    until(lambda: not a.has(), a)
    gone = list(a.told)
    a.subscribe("mail")
    got = a.receive(2)
    a.consumer.close()
    return {"told": gone, "got": got}


json.dump({f.__name__: f for f in (rebalance, static, pattern, offsets, slow, resubscribe)}[STORY](), sys.stdout)
