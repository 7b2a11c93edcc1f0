# SPDX-License-Identifier: Apache-2.0
"""Kafka behind the gateway: what librdkafka wrote is read by Kafka's own Java client; each record
at least once, always with the same key, value and record_id."""
import collections
import json
import os
import random
import sys
import time
import unittest

from kafka_case import KafkaTest  # first: it makes tests/e2e importable

import harness
import servers
from harness import eventually

# Nothing is given up by time, so that seconds stand for the minutes of a real one.
OUTAGE_SECONDS = float(os.environ.get("TRIALWIRE_OUTAGE_SECONDS", "4"))
HEADERS = {"record_id", "journal_id", "sequence", "kind", "content_type", "received_at"}


class KafkaDays(KafkaTest):
    def test_a_message_has_the_key_value_and_headers_of_the_contract(self):
        self.make_topics()
        gateway = self.to_kafka().start()
        receipt = gateway.post("/v1/epro/reports", harness.report(7)).json()["receipt"]
        message, = self.wait_messages(1)
        self.assertEqual(message.key, b"P-7")
        self.assertLessEqual(HEADERS, set(message.headers))
        self.assertEqual(message.headers["record_id"].decode(), receipt["recordId"])
        self.assertEqual(int(message.headers["sequence"]), receipt["sequence"])
        self.assertEqual(message.headers["kind"], b"epro_report")
        value = message.json()
        for field, sent in harness.report(7).items():
            self.assertEqual(value[field], sent)
        self.assertEqual(value["recordId"], receipt["recordId"])
        self.assertEqual(value["sequence"], receipt["sequence"])
        self.assertEqual(value["journalId"], message.headers["journal_id"].decode())
        self.assertEqual(value["receivedAt"], message.headers["received_at"].decode())

    def test_original_values_are_the_senders_bytes(self):
        self.make_topics()
        gateway = self.to_kafka(**{"kafka.value": "original"}).start()
        body = json.dumps(harness.report(1), indent=3).encode()
        self.assertEqual(gateway.post("/v1/epro/reports", body).status, 200)
        message, = self.wait_messages(1)
        self.assertEqual(message.value, body)

    def replay(self, gateway, *arguments):
        done = gateway.run("replay", "--to", "kafka", *arguments)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_a_replay_sends_events_once_more_and_the_servers_cursor_stays(self):
        self.make_topics()
        gateway = self.to_kafka().start()
        self.under_load(gateway, seconds=2)
        sent = self.records(gateway)
        eventually("no lag", lambda: self.lag(gateway, sink="kafka") == 0)
        self.assertEqual(gateway.stop(), 0)
        cursor = gateway.data / "cursors/kafka.0"
        before = cursor.read_text()
        self.assertIn(f"next={sent + 1} ", before)
        self.assertIn(f"{sent} records delivered", self.replay(gateway, "--from", "1"))
        self.assertIn("10 records delivered, sequences 11 to 20",
                      self.replay(gateway, "--from", "11", "--until", "20"))
        self.assertIn("nothing to replay", self.replay(gateway))
        self.assertEqual(cursor.read_text(), before)
        times = collections.Counter(
            int(message.headers["sequence"]) for message in self.client.messages(*self.topics))
        self.assertEqual(times, {sequence: 3 if 11 <= sequence <= 20 else 2
                                 for sequence in range(1, sent + 1)})
        gateway.start()
        self.assertEqual(gateway.post("/v1/epro/reports", harness.report(-1)).status, 200)
        self.check_at_least_once(gateway)  # the same key, value and partition each time
        self.assertEqual(self.client.count(*self.topics), 2 * sent + 10 + 1 + 2 * 3,
                         "the server goes on from its own cursor; three replays were begun and done")

    # Killed and away.

    def test_a_gateway_killed_again_and_again_loses_nothing_and_keeps_the_order_of_a_key(self):
        self.make_topics()
        gateway = self.to_kafka().start()
        randomness = random.Random(21)
        acknowledged = self.under_load(gateway, *[self.kill_and_start(gateway)] * 8,
                                       pause=lambda: randomness.uniform(0.1, 0.4))
        self.check_order(self.check_at_least_once(gateway, acknowledged))

    def test_kills_of_either_side_under_load_lose_nothing(self):
        self.make_topics()
        gateway = self.to_kafka().start()
        gateway_dies, broker_dies = (self.kill_and_start(side) for side in (gateway, self.broker))
        acknowledged = self.under_load(gateway, gateway_dies, broker_dies, gateway_dies)
        self.check_at_least_once(gateway, acknowledged)

    def test_kafka_down_for_a_while_slows_neither_intake_nor_the_database(self):
        # A batch takes 4 KiB of the journal at least, and few senders fill it with few records.
        self.make_topics()
        gateway = self.to_kafka(**{"journal.max_bytes": "16GiB"}).start()
        self.send(gateway, range(5))
        self.wait_messages(5)
        self.broker.kill()
        acknowledged = self.under_load(gateway, seconds=OUTAGE_SECONDS)
        self.assertEqual(gateway.metric("trialwire_ingest_requests_refused_total"), 0)
        records = self.records(gateway)
        eventually("all rows", lambda: gateway.metric(
            "trialwire_sink_delivered_records_total", sink="sqlite") == records)
        eventually("lag", lambda: self.lag(gateway, sink="kafka") >= len(acknowledged))
        eventually("degraded", lambda: "sink kafka degraded: lag" in gateway.ask_admin(
            "/readyz").body.decode())
        self.broker.start()
        began = time.monotonic()
        self.wait_no_lag(gateway, 2 * harness.PATIENCE + OUTAGE_SECONDS)
        print(f"{len(acknowledged)} acknowledged in {OUTAGE_SECONDS:g} s without Kafka, "
              f"{time.monotonic() - began:.1f} s until it had all", end=" ", file=sys.stderr)
        self.check_order(self.check_at_least_once(gateway, acknowledged))

    # Refused as a whole.

    def test_a_missing_topic_is_named_and_waited_for(self):
        gateway = self.to_kafka()
        checked = gateway.run("config", "check", "--connect")
        self.assertEqual(checked.returncode, 0, checked.stderr)
        self.assertIn(f"no topic {self.reports}", checked.stdout)
        gateway.start()
        self.send(gateway, range(10))
        eventually("lag", lambda: self.lag(gateway, sink="kafka") == 10)
        eventually("it is named", lambda: self.reports in gateway.log())
        self.make_topics()
        self.check_at_least_once(gateway)

    def test_a_missing_topic_is_made_where_that_is_set(self):
        gateway = self.to_kafka(**{"kafka.create_topics": "true", "kafka.partitions": "3"}).start()
        self.send(gateway, range(3))
        self.wait_messages(3)
        self.assertIn(self.reports, self.client.topics())

    def test_an_unknown_host_is_named_and_intake_goes_on(self):
        gateway = self.to_kafka(**{"kafka.brokers": "broker.invalid:9092"})
        self.check_refusal(gateway, "broker.invalid:9092", "(?i)resolve")
        self.check_accepts_while_away(gateway, "kafka", "retrying", retries=1)

    def test_a_broker_that_is_not_there_is_named(self):
        address = f"127.0.0.1:{servers.free_port()}"
        gateway = self.to_kafka(**{"kafka.brokers": address})
        self.check_refusal(gateway, address, "(?i)refused")

    # Refused record by record.

    def check_dead_letter(self, gateway, limit):
        keys = {message.key.decode() for message in self.wait_messages(9)}
        self.assertEqual(keys, {f"P-{n}" for n in range(10) if n != 5})
        eventually("a dead letter", lambda: gateway.metric(
            "trialwire_sink_dead_letters_total", sink="kafka") == 1)
        listed = gateway.run("deadletter", "list", "--sink", "kafka")
        self.assertEqual(listed.returncode, 0, listed.stderr)
        self.assertRegex(listed.stdout, "payload_too_large")
        shown = json.loads(gateway.run("deadletter", "list", "--json").stdout)
        self.assertRegex(json.dumps(shown), r"\b4\d\d\d bytes")
        self.assertRegex(json.dumps(shown), limit)
        self.assertEqual(gateway.metric("trialwire_sink_dead_letters_total", sink="sqlite"), 0)

    def send_one_that_is_large(self, gateway):
        self.send(gateway, range(5))
        self.send(gateway, [5], comments="x" * 4000)
        self.send(gateway, range(6, 10))

    def test_a_message_over_the_settings_limit_is_a_dead_letter_with_size_and_limit(self):
        self.make_topics()
        gateway = self.to_kafka(**{"kafka.message_bytes": "2000B"}).start()
        self.send_one_that_is_large(gateway)
        self.check_dead_letter(gateway, r"\b2000\b")

    def test_a_message_over_the_topics_limit_is_a_dead_letter_with_its_size(self):
        self.make_topics(max_message_bytes=2000)
        gateway = self.to_kafka(**{"kafka.compression": "none"}).start()
        self.send_one_that_is_large(gateway)
        self.check_dead_letter(gateway, "max.message.bytes")
        self.client.configure_topic(self.reports, max_message_bytes=100_000)
        self.assertEqual(gateway.run("deadletter", "retry", "--all").returncode, 0)
        eventually("it comes", lambda: b"P-5" in {
            message.key for message in self.client.consume(self.reports)})


if __name__ == "__main__":
    unittest.main()
