# SPDX-License-Identifier: Apache-2.0
"""Roles apart: gateways write to Kafka, a group of processors stores, through kills; one record once."""
from harness import Server, eventually, report
from kafka_test import KafkaTest


class Tiers(KafkaTest):
    def tier(self, name, roles, **settings):
        directory = self.directory / name
        directory.mkdir(exist_ok=True)
        made = Server(directory, **{"roles": roles, "kafka.brokers": self.kafka.brokers,
                                    "kafka.value": "original", "kafka.session_timeout": "6s",
                                    "allow_unsafe": "true",
                                    **settings})
        self.addCleanup(made.kill)
        return made

    def ids(self, items):
        return sorted(item["reportId"] for item in items)

    def test_what_a_gateway_takes_is_in_the_processors_database(self):
        gateway = self.tier("gateway", "gateway").start()
        processor = self.tier("processor", "processor,api").start()
        receipts = self.send(gateway, range(20))
        items = processor.wait_stored(20)
        self.assertEqual(self.ids(items), sorted(f"R-{n}" for n in range(20)))
        stored = {item["recordId"]: item["sequence"] for item in items}
        self.assertEqual(stored, {r["recordId"]: r["sequence"] for r in receipts},
                         "as the gateway acknowledged them")
        self.assertEqual(gateway.get("/v1/epro/reports").status, 405, "it answers no queries")
        self.assertEqual(processor.post("/v1/epro/reports", report(1)).status, 405)
        eventually("all at work", lambda: "of them at work, lag 0" in
                   processor.ask_admin("/readyz").body.decode())

    def test_a_killed_processor_loses_and_doubles_nothing(self):
        gateway = self.tier("gateway", "gateway").start()
        processor = self.tier("processor", "processor,api").start()
        for part in range(3):
            self.send(gateway, range(part * 30, part * 30 + 30))
            processor.wait_stored(1)
            processor.kill()
            processor.start()
        self.assertEqual(self.ids(processor.wait_stored(90)), sorted(f"R-{n}" for n in range(90)))

    def test_processors_of_one_database_share_the_work(self):
        database = {"store.url": f"sqlite:{self.directory}/shared.db"}
        gateway = self.tier("gateway", "gateway").start()
        first = self.tier("first", "processor,api", **database).start()
        self.send(gateway, range(10))
        first.wait_stored(10)
        second = self.tier("second", "processor,api", **database).start()
        eventually("the second one has partitions",
                   lambda: second.metric("trialwire_kafka_group_partitions") > 0)
        self.send(gateway, range(10, 30))
        second.wait_stored(30)
        first.kill()  # without a word: its partitions go over after the session timeout
        self.send(gateway, range(30, 40))
        self.assertEqual(self.ids(second.wait_stored(40)), sorted(f"R-{n}" for n in range(40)))
