# SPDX-License-Identifier: Apache-2.0
"""The gateway before a real Kafka of the class's own: topics, what is in them, what must be."""
import hashlib
import itertools
import typing

from gateway_case import GatewayTest  # first: it makes tests/e2e importable

import harness
import kafka_broker
from harness import eventually

KINDS = ("epro_report", "qol_answer", "vital_sign", "trial_metric", "audit")


class Seen(typing.NamedTuple):
    """What is kept of a message: there may be a million."""

    partition: int
    offset: int
    sequence: int
    key: bytes
    value: bytes  # SHA-256


class KafkaTest(GatewayTest):
    """Each test has topics of its own."""

    kind_of_broker = kafka_broker.Kafka
    numbers = itertools.count(1)

    @classmethod
    def setUpClass(cls):
        cls.broker = cls.for_all(cls.kind_of_broker).start()
        cls.client = cls.broker.client()
        cls.addClassCleanup(cls.client.close)

    def setUp(self):
        super().setUp()
        self.bring_back(self.broker)
        self.prefix = f"t{next(self.numbers)}"
        self.topics = [f"{self.prefix}.{kind}" for kind in KINDS]
        self.reports = self.topics[0]

    def make_topics(self, **settings):
        for topic in self.topics:
            self.client.create_topic(topic, partitions=4, **settings)

    def to_kafka(self, name="gateway", **settings):
        return self.gateway(name, **{"kafka.brokers": self.broker.address,
                                     "kafka.topic_prefix": self.prefix, **settings})

    def password_file(self, password):
        file = self.directory / "password"
        file.write_text(password + "\n")
        file.chmod(0o600)
        return file

    def wait_messages(self, count):
        return eventually(f"{count} messages", lambda: (
            lambda found: found if len(found) >= count else None)(
                self.client.consume(self.reports)))

    def wait_no_lag(self, gateway, patience=2 * harness.PATIENCE):
        eventually("no lag", lambda: self.lag(gateway, sink="kafka") == 0, patience)

    def check_at_least_once(self, gateway, acknowledged=()):
        """Each record of the journal is there; where it is there again, key, value and partition
        are the same."""
        self.wait_entered(gateway)
        records = self.records(gateway)
        self.wait_no_lag(gateway)
        eventually("as many messages as records",
                   lambda: self.client.count(*self.topics) >= records)
        self.assertEqual(gateway.stop(), 0)  # the last cursor is stored: all is delivered
        found = {}
        for message in self.client.messages(*self.topics):
            now = Seen(message.partition, message.offset, int(message.headers["sequence"]),
                       message.key, hashlib.sha256(message.value).digest())
            first = found.setdefault(message.headers["record_id"].decode(), now)
            self.assertEqual(first, now._replace(offset=first.offset))
        self.assertLessEqual({receipt["recordId"] for receipt in acknowledged}, set(found))
        self.assertEqual(set(self.journal_ids(gateway)), set(found))
        return found

    def check_order(self, found):
        """What came first of each record is in the journal's order, key by key."""
        last = {}
        for seen in sorted(found.values()):
            self.assertLess(last.get(seen.key, 0), seen.sequence)
            last[seen.key] = seen.sequence
