# SPDX-License-Identifier: Apache-2.0
"""Kafka that wants to know who comes, and says who it is: passwords by each mechanism, TLS, both.
What is wrong of it is named to who looks, and intake goes on until it is mended."""
import itertools
import unittest

from kafka_case import KafkaTest  # first: it makes tests/e2e importable

import certificates
import kafka_broker
import servers

WRONG = "wrong-horse"
REFUSED = "[Aa]uthentication failed"
WAYS = tuple(itertools.product(kafka_broker.MECHANISMS, ("sasl_plaintext", "sasl_ssl")))


class KafkaSecurity(KafkaTest):
    kind_of_broker = kafka_broker.TlsKafka

    def at(self, port, protocol, name="gateway", host="localhost", **settings):
        """`settings` are those of kafka.security."""
        if protocol.endswith("ssl"):
            settings = {"ca": self.broker.authority.cert, **settings}
        return self.to_kafka(name, **{
            "kafka.brokers": f"{host}:{port}", "kafka.security.protocol": protocol,
            **{f"kafka.security.{key}": str(value) for key, value in settings.items()}})

    def with_password(self, password, mechanism, protocol, **settings):
        port = {"sasl_plaintext": self.broker.password_port,
                "sasl_ssl": self.broker.tls_password_port}[protocol]
        host = "localhost" if protocol == "sasl_ssl" else "127.0.0.1"
        return self.at(port, protocol, host=host, mechanism=mechanism, username=servers.USER,
                       password_file=self.password_file(password), **settings)

    def other_authority(self):
        return certificates.Authority(self.directory, "other")

    def check_open(self, gateway, messages):
        checked = gateway.run("config", "check", "--connect")
        self.assertEqual(checked.returncode, 0, checked.stderr)
        self.assertIn("1 broker", checked.stdout)
        gateway.start()
        self.send(gateway, range(3))
        self.wait_messages(messages)
        self.assertEqual(gateway.stop(), 0)

    def check_named(self, gateway, *patterns):
        """By `config check --connect`; by the server, which accepts and retries, in its log, in
        /readyz and in `trialwire status`."""
        self.check_refusal(gateway, gateway.settings["kafka.brokers"], *patterns)
        self.check_accepts_while_away(gateway, "kafka", "stuck", retries=1)
        for pattern in patterns:
            self.assertRegex(gateway.log(), pattern)
            self.assertRegex(gateway.ask_admin("/readyz").body.decode(), pattern)
            self.assertRegex(gateway.run("status").stdout, rf"\nsink kafka degraded: .*{pattern}")

    def check_all_comes(self, gateway):
        self.wait_messages(10)
        self.check_at_least_once(gateway)
        self.assertNotIn(servers.PASSWORD, gateway.log())

    # Let in.

    def test_each_mechanism_opens_the_broker_with_tls_and_without(self):
        self.make_topics()
        for number, way in enumerate(WAYS, 1):
            with self.subTest(way=way):
                gateway = self.with_password(servers.PASSWORD, *way, name=f"gateway-{number}")
                self.check_open(gateway, 3 * number)

    def test_tls_alone_opens_the_broker(self):
        self.make_topics()
        self.check_open(self.at(self.broker.tls_port, "ssl"), 3)

    def test_a_clients_certificate_opens_the_broker_that_wants_one(self):
        self.make_topics()
        own = self.broker.authority.certificate("gateway", "DNS:gateway")
        self.check_open(
            self.at(self.broker.tls_client_port, "ssl", cert=own.cert, key=own.key), 3)

    # Not let in.

    def test_a_wrong_password_is_named_whatever_the_mechanism(self):
        for number, way in enumerate(WAYS):
            with self.subTest(way=way):
                gateway = self.with_password(WRONG, *way, name=f"gateway-{number}")
                self.check_refusal(gateway, gateway.settings["kafka.brokers"], REFUSED)

    def check_until_the_password_is_right(self, mechanism, protocol):
        self.make_topics()
        gateway = self.with_password(WRONG, mechanism, protocol)
        self.check_named(gateway, REFUSED)
        self.password_file(servers.PASSWORD)
        self.check_all_comes(gateway)

    def test_after_a_wrong_plain_password_all_comes_with_the_right_one(self):
        self.check_until_the_password_is_right("PLAIN", "sasl_plaintext")

    def test_after_a_wrong_scram_password_all_comes_with_the_right_one(self):
        self.check_until_the_password_is_right("SCRAM-SHA-256", "sasl_plaintext")

    def test_after_a_wrong_scram_password_over_tls_all_comes_with_the_right_one(self):
        self.check_until_the_password_is_right("SCRAM-SHA-512", "sasl_ssl")

    def test_an_unknown_authority_is_named_and_all_comes_when_it_is_known(self):
        self.make_topics()
        trusted = self.directory / "trusted.pem"
        trusted.write_text(self.other_authority().cert.read_text())
        gateway = self.at(self.broker.tls_port, "ssl", ca=trusted)
        self.check_named(gateway, r"authority that is not known here, see kafka\.security\.ca")
        trusted.write_text(self.broker.authority.cert.read_text())
        self.check_all_comes(gateway)

    def test_a_password_does_not_go_to_a_broker_of_an_unknown_authority(self):
        gateway = self.with_password(servers.PASSWORD, "PLAIN", "sasl_ssl",
                                     ca=self.other_authority().cert)
        self.check_refusal(gateway, "authority that is not known here")

    def test_a_certificate_for_another_name_is_named_and_intake_goes_on(self):
        gateway = self.at(self.broker.tls_port, "ssl", host="127.0.0.1")
        self.check_named(gateway, r"certificate is not for the name 127\.0\.0\.1")

    def test_an_authority_whose_file_is_missing_is_named(self):
        gateway = self.at(self.broker.tls_port, "ssl", ca=self.directory / "none.pem")
        checked = gateway.run("config", "check", "--connect")
        self.assertEqual(checked.returncode, 1, checked.stdout)
        self.assertRegex(checked.stderr, r"kafka\.security\.ca \S+/none\.pem cannot be read")

    def test_a_client_without_certificate_or_with_a_strangers_is_refused_by_the_broker(self):
        stranger = self.other_authority().certificate("gateway", "DNS:gateway")
        for number, own in enumerate(({}, {"cert": stranger.cert, "key": stranger.key})):
            gateway = self.at(self.broker.tls_client_port, "ssl", name=f"gateway-{number}", **own)
            self.check_refusal(gateway, gateway.settings["kafka.brokers"],
                               "alert (bad certificate|certificate)")


if __name__ == "__main__":
    unittest.main()
