# SPDX-License-Identifier: Apache-2.0
"""The servers themselves: each answers, keeps what it was told over a kill, ends by its id."""
import contextlib
import os
import pathlib
import subprocess
import sys
import time

import kafka_broker
import servers
from service_case import ServiceTest


class Servers(ServiceTest):
    def check_keeps_what_it_was_told(self, server):
        server.start()
        server.sql("CREATE TABLE t (a int PRIMARY KEY, b varchar(40));"
                   "INSERT INTO t VALUES (1, 'größer'), (2, NULL)")
        server.kill()
        server.start()
        self.assertEqual(server.sql("SELECT count(*), min(b) FROM t"), "2\tgrößer")
        self.assertEqual(server.create_database("other"), server.url("other"))
        pid = server.process.pid
        server.stop()
        self.assertFalse(os.path.exists(f"/proc/{pid}"))

    def test_postgresql_keeps_rows_over_a_kill(self):
        server = self.own(servers.Postgres)
        self.check_keeps_what_it_was_told(server)
        server.start()
        self.assertEqual(server.sql("SHOW fsync"), "on")
        self.assertEqual(server.sql("SHOW server_version").split(".")[0], "15")

    def test_mariadb_keeps_rows_over_a_kill(self):
        server = self.own(servers.MariaDB)
        self.check_keeps_what_it_was_told(server)
        server.start()
        self.assertEqual(server.sql("SELECT @@innodb_flush_log_at_trx_commit"), "1")

    def test_etcd_keeps_keys_over_a_kill(self):
        server = self.own(servers.Etcd).start()
        server.put("a/1", "größer")
        server.kill()
        server.start()
        self.assertEqual(server.keys(), {"a/1": "größer"})

    def test_a_wrong_password_is_refused(self):
        for kind in (servers.Postgres, servers.MariaDB):
            server = self.own(kind).start()
            with self.assertRaisesRegex(servers.ServiceFailed, "(?i)password|access denied"):
                server.sql("SELECT 1", password="wrong")

    def test_kafka_keeps_messages_over_a_kill(self):
        broker = self.own(kafka_broker.Kafka).start()
        with broker.client() as client:
            client.create_topic("t", partitions=2)
            for number in range(5):
                client.produce("t", b"key", b"value %d" % number, kind=b"test")
            self.assertEqual(client.count("t"), 5)
        broker.kill()
        broker.start()
        with broker.client() as client:
            found = client.consume("t")
            self.assertEqual([each.value for each in found], [b"value %d" % n for n in range(5)])
            self.assertEqual({(each.key, each.headers["kind"]) for each in found},
                             {(b"key", b"test")})
            with self.assertRaisesRegex(servers.ServiceFailed, "TopicExists"):
                client.create_topic("t")


class Orphans(ServiceTest):
    PROGRAM = ("import sys, servers\n"
               "server = servers.Postgres(sys.argv[1]).start()\n"
               "print(server.process.pid, flush=True)\n"
               "sys.stdin.read()\n")

    @staticmethod
    def runs(pid):
        with contextlib.suppress(FileNotFoundError):
            return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
        return False

    def test_a_server_ends_with_its_program_that_is_killed(self):
        with subprocess.Popen([sys.executable, "-c", self.PROGRAM, self.directory],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                              cwd=pathlib.Path(servers.__file__).parent) as program:
            pid = int(program.stdout.readline())
            self.assertTrue(self.runs(pid))
            program.kill()
        end = time.monotonic() + servers.PATIENCE
        while self.runs(pid) and time.monotonic() < end:
            time.sleep(0.01)
        self.assertFalse(self.runs(pid))


class Environment(ServiceTest):
    """What tests/services/run told."""

    def test_the_servers_of_the_environment_answer(self):
        self.assertIn("127.0.0.1", self.shared("TRIALWIRE_TEST_POSTGRES_URL"))
        self.assertIn("127.0.0.1", self.shared("TRIALWIRE_TEST_MYSQL_URL"))
        with kafka_broker.KafkaClient(self.shared("TRIALWIRE_TEST_KAFKA")) as client:
            client.topics()
