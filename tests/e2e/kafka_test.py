# SPDX-License-Identifier: Apache-2.0
"""Records reach Kafka, through outages and kills; with journal.ack: kafka, answers wait for it."""
import concurrent.futures
import contextlib
import http.client
import json
import os
import shutil
import subprocess
import threading
import time

from harness import ServerTest, eventually, report

TOPIC = "trialwire.epro_report"


class MockKafka:
    """A cluster that one process stands in for."""

    def __init__(self):
        self.process = subprocess.Popen([os.environ["TRIALWIRE_MOCK_KAFKA"]], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL)
        self.brokers = self.process.stdout.readline().strip()

    def order(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        lines = []
        while (answer := self.process.stdout.readline().rstrip("\n")) != ".":
            assert answer != "" or self.process.poll() is None
            lines.append(answer)
        return lines

    def messages(self):
        """[(key, sequence, record id)] in the topic's order."""
        split = [line.split("\t") for line in self.order(f"read {TOPIC}")]
        return [(key, int(sequence), record) for key, sequence, record in split]

    def end(self):
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class KafkaTest(ServerTest):
    def setUp(self):
        super().setUp()
        self.kafka = MockKafka()
        self.addCleanup(self.kafka.end)

    def gateway(self, **settings):
        return self.server(**{"kafka.brokers": self.kafka.brokers, **settings})

    def send(self, server, numbers):
        """Receipts, in order."""
        receipts = []
        for number in numbers:
            answer = server.post("/v1/epro/reports", report(number))
            self.assertEqual(answer.status, 200, answer.body)
            receipts.append(answer.json()["receipt"])
        return receipts

    def first_of_each(self, messages):
        seen, first = set(), []
        for message in messages:
            if message[2] not in seen:
                seen.add(message[2])
                first.append(message)
        return first


class Delivery(KafkaTest):
    def test_every_report_is_an_event_with_its_key_and_its_record_id(self):
        server = self.gateway().start()
        receipts = self.send(server, range(20))
        eventually("20 messages", lambda: server.metric("trialwire_kafka_messages_total") == 20)
        self.assertEqual(self.kafka.messages(),
                         [(f"P-{n}", r["sequence"], r["recordId"]) for n, r in enumerate(receipts)])
        server.wait_stored(20)
        self.assertEqual(server.stop(), 0)
        self.assertIn("next=21 ", (server.data / "cursors/kafka.0").read_text())
        server.start()
        self.send(server, range(20, 22))
        eventually("2 more", lambda: server.metric("trialwire_kafka_messages_total") == 2)
        self.assertEqual(len(self.kafka.messages()), 22, "nothing twice over a clean restart")

    def test_an_outage_stops_neither_intake_nor_the_database_and_loses_nothing(self):
        server = self.gateway().start()
        self.send(server, range(5))
        eventually("5 messages", lambda: server.metric("trialwire_kafka_messages_total") == 5)
        self.kafka.order("down")
        self.send(server, range(5, 15))
        server.wait_stored(15)
        self.assertEqual(server.ask_admin("/readyz").status, 200)
        eventually("the lag shows",
                   lambda: server.metric("trialwire_sink_lag_records", sink="kafka") >= 10)
        self.kafka.order("up")
        eventually("all", lambda: server.metric("trialwire_kafka_messages_total") == 15)
        self.assertEqual([m[1] for m in self.kafka.messages()], list(range(1, 16)))

    def test_an_outage_opens_its_breaker_until_a_message_is_confirmed(self):
        server = self.gateway(**{"kafka.confirm_timeout": "1s", "breaker.window": "2s"}).start()

        def closed():
            return server.metric("trialwire_breaker_state", dependency="kafka", state="closed")

        self.send(server, range(3))
        eventually("3 messages", lambda: server.metric("trialwire_kafka_messages_total") == 3)
        self.assertEqual(closed(), 1)
        self.kafka.order("down")
        self.send(server, range(3, 6))
        eventually("it is open", lambda: closed() == 0)
        # Over several windows, in each of which at most one or two deliveries fail.
        until = time.monotonic() + 6
        while time.monotonic() < until:
            self.assertEqual(closed(), 0)
            time.sleep(0.1)
        self.assertRegex(server.ask_admin("/readyz").body.decode(),
                         r"(?m)^breaker kafka degraded: (open|half_open)$")
        self.kafka.order("up")
        eventually("all", lambda: server.metric("trialwire_kafka_messages_total") == 6)
        self.send(server, range(6, 9))
        eventually("it is closed", lambda: closed() == 1)

    def test_a_replay_sends_events_again_and_leaves_the_servers_cursor(self):
        server = self.gateway().start()
        receipts = self.send(server, range(6))
        eventually("6 messages", lambda: server.metric("trialwire_kafka_messages_total") == 6)
        self.assertEqual(server.stop(), 0)
        cursors = {file.name: file.read_text() for file in (server.data / "cursors").iterdir()}
        run = server.run("replay", "--from", "3", "--until", "5", "--to", "kafka")
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertIn("3 records delivered, sequences 3 to 5", run.stdout)
        self.assertEqual(self.kafka.messages()[6:],
                         [(f"P-{n}", receipts[n]["sequence"], receipts[n]["recordId"])
                          for n in range(2, 5)])
        self.assertEqual(
            cursors, {file.name: file.read_text() for file in (server.data / "cursors").iterdir()})
        run = server.run("replay", "--to", "kafka")
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertIn("nothing to replay", run.stdout, "from the server's own cursor on")
        server.settings["kafka.brokers"] = ""
        self.assertEqual(server.run("replay", "--to", "kafka").returncode, 2)

    def test_a_replay_sets_aside_what_kafka_will_not_take_names_it_and_goes_on(self):
        server = self.gateway(**{"kafka.message_bytes": "1KiB"}).start()
        large = "x" * 2000
        for body in (report(0), report(1, comments=large), report(2),
                     [report(3), report(4, comments=large), report(5)], report(6)):
            self.assertEqual(server.post("/v1/epro/reports", body).status, 200)
        eventually("no lag", lambda: server.metric(
            "trialwire_sink_lag_records", sink="kafka") == 0)
        self.assertEqual(server.stop(), 0)
        before = len(self.kafka.messages())
        (server.data / "deadletters.db").unlink()
        run = server.run("replay", "--from", "1", "--to", "kafka")
        self.assertEqual(run.returncode, 1, run.stdout + run.stderr)
        self.assertIn("dead letter: sequence 2: payload_too_large", run.stderr)
        self.assertIn("dead letter: sequence 4 to 6, a submission: payload_too_large", run.stderr)
        self.assertNotIn("P-", run.stderr)
        self.assertIn("3 records delivered, sequences 1 to 7", run.stdout)
        self.assertEqual({m[1] for m in self.kafka.messages()[before:]}, {1, 3, 7})
        letters = server.run("deadletter", "list", "--json").stdout.splitlines()
        self.assertEqual(len(letters), 4)

    def test_a_kill_during_an_outage_costs_repetitions_at_most(self):
        server = self.gateway().start()
        self.send(server, range(5))
        eventually("5 messages", lambda: server.metric("trialwire_kafka_messages_total") == 5)
        self.kafka.order("down")
        receipts = self.send(server, range(5, 10))
        server.kill()
        self.kafka.order("up")
        server.start()
        self.send(server, range(10, 12))
        wanted = {r["recordId"] for r in receipts}
        eventually("all of them", lambda: len(self.first_of_each(self.kafka.messages())) == 12)
        messages = self.kafka.messages()
        self.assertLessEqual(wanted, {m[2] for m in messages})
        self.assertEqual([m[1] for m in self.first_of_each(messages)], list(range(1, 13)))

    def test_a_wiped_journal_does_not_use_the_cursor_of_the_one_before(self):
        server = self.gateway().start()
        self.send(server, range(3))
        eventually("3 messages", lambda: server.metric("trialwire_kafka_messages_total") == 3)
        server.stop()
        for file in (server.data / "journal").iterdir():
            if file.is_file():
                file.unlink()
        server.start()
        self.send(server, range(3, 5))
        eventually("the refusal", lambda: "holds the cursor 4 of journal" in server.log())
        self.assertEqual(len(self.kafka.messages()), 3)
        server.stop()
        (server.data / "cursors/kafka.0").unlink()
        server.start()
        eventually("the rest", lambda: len(self.kafka.messages()) == 5)


class AcknowledgedByKafka(KafkaTest):
    def gateway(self, **settings):
        return super().gateway(**{"journal.ack": "kafka", **settings})

    def test_what_kafka_cannot_take_is_not_told_to_be_stored(self):
        server = self.gateway(**{"kafka.message_bytes": "20000B"}).start()

        def metric(spaces):
            # Kept as it was sent, spaces and all.
            return ('{"metricId":"M","studyId":"S","siteId":"1","value":1,"annotations":["a",'
                    + " " * spaces + '"b"]}')
        self.assertEqual(server.post("/v1/metrics", metric(15_000)).status, 200)
        refused = server.post("/v1/metrics", metric(16_000))
        self.assertEqual(refused.status, 400, refused.body)
        self.assertIn("must be at most 15904 bytes", refused.body.decode())
        lines = server.post("/v1/metrics", metric(1) + "\n" + metric(17_000) + "\n",
                            "application/x-ndjson")
        self.assertEqual(lines.json()["accepted"], 1, lines.body)
        self.assertEqual(len(self.kafka.order("read trialwire.trial_metric")), 2)
        self.assertEqual(server.metric("trialwire_sink_dead_letters_total", sink="kafka"), 0)

    def test_an_answer_means_that_kafka_has_the_report(self):
        server = self.gateway().start()
        for number in range(10):
            receipt = self.send(server, [number])[0]
            self.assertEqual(self.kafka.messages()[-1][2], receipt["recordId"])

    def test_without_kafka_the_outcome_is_unknown_and_a_retry_finds_it(self):
        server = self.gateway(**{"limits.request_deadline": "500ms"}).start()
        self.send(server, [0])
        self.kafka.order("down")
        self.assertEqual(server.post("/v1/epro/reports", report(1)).status, 504)
        self.assertEqual(server.post("/v1/epro/reports", report(1)).status, 504, "nor is a retry")
        self.kafka.order("up")
        answer = eventually("Kafka's return", lambda: (
            lambda answer: answer if answer.status == 200 else None)(
                server.post("/v1/epro/reports", report(1))))
        self.assertEqual(answer.json()["receipt"]["sequence"], 2)
        self.assertEqual([m[1] for m in self.kafka.messages()], [1, 2])

    def test_answers_that_wait_come_when_kafka_returns(self):
        server = self.gateway(**{"limits.request_deadline": "30s"}).start()
        self.send(server, [0])
        self.kafka.order("down")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            waiting = [pool.submit(server.post, "/v1/epro/reports", report(n))
                       for n in range(1, 9)]
            eventually("all are durable here",
                       lambda: server.metric("trialwire_journal_last_sequence") == 9)
            self.assertFalse(any(answer.done() for answer in waiting))
            self.assertGreater(server.metric("trialwire_journal_pending_bytes"), 0)
            self.kafka.order("up")
            self.assertEqual({answer.result().status for answer in waiting}, {200})
        self.assertEqual(len(self.kafka.messages()), 9)

    def test_a_stop_acknowledges_nothing_that_kafka_lacks(self):
        server = self.gateway(**{"limits.request_deadline": "30s", "runtime.drain": "300ms"}).start()
        self.send(server, [0])
        self.kafka.order("down")
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            waiting = pool.submit(server.post, "/v1/epro/reports", report(1))
            eventually("it is durable here",
                       lambda: server.metric("trialwire_journal_last_sequence") == 2)
            self.assertEqual(server.stop(), 0)
            try:
                self.assertNotEqual(waiting.result().status, 200)
            except OSError:
                pass  # closed: as good as that
            except Exception as error:  # http.client's own
                self.assertIn("Remote end closed", str(error))
        self.kafka.order("up")
        server.start()
        answer = server.post("/v1/epro/reports", report(1))
        self.assertEqual((answer.status, answer.json()["receipt"]["sequence"]), (200, 2))

    def test_a_gateway_destroyed_with_its_disk_loses_nothing_acknowledged(self):
        server = self.gateway(**{"limits.request_deadline": "5s"}).start()
        acknowledged, lock = set(), threading.Lock()

        def send(client):
            connection = server.connect()
            with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
                for number in range(10_000):
                    connection.request("POST", "/v1/epro/reports",
                                       json.dumps(report(client * 10_000 + number)),
                                       {"Content-Type": "application/json"})
                    answer = connection.getresponse()
                    body = answer.read()
                    if answer.status == 200:
                        with lock:
                            acknowledged.add(json.loads(body)["receipt"]["recordId"])
        senders = [threading.Thread(target=send, args=(client,)) for client in range(8)]
        for sender in senders:
            sender.start()
        eventually("some are acknowledged", lambda: len(acknowledged) > 200)
        server.kill()
        for sender in senders:
            sender.join()
        shutil.rmtree(server.data)
        self.assertLessEqual(acknowledged, {record for _, _, record in self.kafka.messages()})
