# SPDX-License-Identifier: Apache-2.0
"""Roles on their own, through a real Kafka: a gateway, a group of processors of which one is killed,
one is paused until the others have its partitions and then wakes up, and others join, and an api.
Each database has every acknowledged report once."""
import concurrent.futures
import re
import signal
import subprocess
import time

import kafka_broker
import servers
from service_case import ServiceTest  # which makes tests/e2e known

from crash_test import receipts
from harness import BINARY, PATIENCE, Server, eventually, report

SESSION_SECONDS = 6.0  # the least that a broker takes
TAKES_OVER_SECONDS = SESSION_SECONDS + 6.0  # with the rebalance, on a busy machine
IDLE_TRANSACTION_SECONDS = 15.0  # so long MariaDB waits for a frozen program that holds locks
# So that each of two members has some of the reports'.
PARTITIONS = {"epro_report": 12, "qol_answer": 1, "vital_sign": 1, "trial_metric": 1}
ALL = sum(PARTITIONS.values())


class Processors(ServiceTest):
    def setUp(self):
        super().setUp()
        self.nodes = self.directory / "nodes"
        self.nodes.mkdir()
        self.receipts = self.directory / "receipts"

    def start_servers(self, database_kind):
        self.database = self.own(database_kind)
        self.broker = self.own(kafka_broker.Kafka)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            for start in [pool.submit(each.start) for each in (self.database, self.broker)]:
                start.result()
        with self.broker.client() as client:
            for kind, count in PARTITIONS.items():
                client.create_topic(f"trialwire.{kind}", partitions=count)

    def node(self, name, roles, **settings):
        directory = self.nodes / name
        directory.mkdir()
        made = Server(directory, **{"roles": roles, "archive.url": "", **settings})
        self.addCleanup(made.kill)
        return made.start()

    def gateway(self, name):
        return self.node(name, "gateway", **{"kafka.brokers": self.broker.address,
                                             "kafka.value": "original"})

    def processor(self, name):
        return self.node(name, "processor", **{
            "kafka.brokers": self.broker.address, "store.url": self.database.url(),
            "kafka.session_timeout": f"{SESSION_SECONDS:.0f}s",
            # As shipped: partitions of a trickle each are as many small transactions.
            "pipeline.batch_delay": "500ms", "pipeline.delivery_interval": "100ms"})

    def at_work(self, processor):
        """All that it was given is, and nothing waits."""
        found = re.search(r"(\d+) partitions, (\d+) of them at work, lag 0",
                          processor.ask_admin("/readyz").body.decode())
        return found is not None and 0 < int(found[1]) == int(found[2])

    def partitions(self, processor):
        return processor.metric("trialwire_kafka_group_partitions")

    def load(self, gateway, rate):
        client = subprocess.Popen(
            [BINARY, "load", f"http://{gateway.http}", "--connections", "8", "--rate", str(rate),
             "--duration", "120s", "--warmup", "0s", "--receipts", self.receipts, "--quiet"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(client.wait)
        self.addCleanup(client.kill)
        return client

    def acknowledged(self):
        return {each["recordId"] for each in receipts(self.receipts)}

    def stored(self):
        return self.database.sql("SELECT record_id FROM epro_reports").splitlines()

    def rows(self):
        return int(self.database.sql("SELECT count(*) FROM epro_reports"))

    def wait_for_all_until_now(self, patience):
        """What is acknowledged now is stored within that time."""
        wanted, begun = self.acknowledged(), time.monotonic()
        while not wanted <= (stored := set(self.stored())):
            lacking = len(wanted - stored)
            self.assertLess(time.monotonic() - begun, patience,
                            f"{lacking} of {len(wanted)} reports are not in the database")
            time.sleep(0.5)  # the machine is busy enough
        print(f"{len(wanted)} reports, all stored after {time.monotonic() - begun:.1f} s")

    def check_each_once(self):
        self.wait_for_all_until_now(PATIENCE)
        time.sleep(0.5)  # for one too many
        stored = self.stored()
        self.assertEqual(len(stored), len(set(stored)))
        return len(stored)

    def disturb_a_group(self, sink, lock_seconds=0.0):
        gateway = self.gateway("gateway")
        killed, paused = self.processor("killed"), self.processor("paused")
        eventually("both are at work", lambda: self.at_work(killed) and self.at_work(paused)
                   and self.partitions(killed) + self.partitions(paused) == ALL)
        client = self.load(gateway, 1000)
        eventually("some are stored", lambda: self.receipts.exists() and self.rows() > 1000)

        killed.kill()
        time.sleep(1.0)  # of records for its partitions
        self.wait_for_all_until_now(TAKES_OVER_SECONDS)
        eventually("it has all", lambda: self.partitions(paused) == ALL)
        joined = self.processor("joined")
        eventually("the new one has its share", lambda: self.partitions(joined) >= ALL // 2)

        paused.process.send_signal(signal.SIGSTOP)
        time.sleep(1.0)
        self.wait_for_all_until_now(TAKES_OVER_SECONDS + lock_seconds)
        eventually("it has all", lambda: self.partitions(joined) == ALL)
        paused.process.send_signal(signal.SIGCONT)
        eventually("it is taken in again", lambda: 0 < self.partitions(joined) < ALL
                   and self.partitions(paused) + self.partitions(joined) == ALL)
        self.assertIn("the group has given partitions to others", paused.log())
        time.sleep(1.0)
        client.terminate()
        client.wait(PATIENCE)
        self.assertGreater(self.check_each_once(), 5_000)
        for processor in (paused, joined):
            eventually("all at work, and done", lambda p=processor: self.at_work(p))
            self.assertEqual(processor.metric(f"trialwire_{sink}_rows_ignored_total"), 0,
                             "no row was even tried twice")
        return gateway, paused, joined

    def test_a_kill_a_zombie_and_a_newcomer_lose_and_double_nothing(self):
        self.start_servers(servers.Postgres)
        gateway, *processors = self.disturb_a_group("postgres")
        api = self.node("api", "api", **{"store.url": self.database.url()})
        newest = api.get("/v1/epro/reports?limit=50").json()["items"]
        self.assertEqual(len(newest), 50)
        self.assertLessEqual({item["recordId"] for item in newest}, set(self.stored()))
        self.assertEqual(api.post("/v1/epro/reports", report(1)).status, 405)
        self.assertEqual(gateway.get("/v1/epro/reports").status, 405)
        self.assertTrue((api.data / "journal").exists(), "that of its audit trail")
        for node in (api, gateway, *processors):
            self.assertEqual(node.stop(), 0)

    def test_the_same_in_mariadb(self):
        self.start_servers(servers.MariaDB)
        self.disturb_a_group("mysql", lock_seconds=IDLE_TRANSACTION_SECONDS)
