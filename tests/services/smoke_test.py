# SPDX-License-Identifier: Apache-2.0
"""The servers themselves: each answers, keeps what it was told over a kill, ends by its id."""
import os

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


class Environment(ServiceTest):
    """What tests/services/run told."""

    def test_the_servers_of_the_environment_answer(self):
        self.assertIn("127.0.0.1", self.shared("TRIALWIRE_TEST_POSTGRES_URL"))
        self.assertIn("127.0.0.1", self.shared("TRIALWIRE_TEST_MYSQL_URL"))
        with kafka_broker.KafkaClient(self.shared("TRIALWIRE_TEST_KAFKA")) as client:
            client.topics()
